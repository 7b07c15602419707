import type { Engine } from '../../../contract/models.ts';
import type { FolderFile } from './folder-files.ts';
import { ggufOffer } from './gguf-candidates.ts';
import type { Offer } from './offer.ts';
import { safetensorsOffer } from './safetensors-candidate.ts';

/** The engines' versions, where they are known: an architecture may be newer than they are. */
export type EngineVersions = Readonly<Record<Engine, string | null>>;

/** Heads of some hundred files on a slow disk. */
const longestMs = 60_000;
const mostKept = 32;

/**
 * What folders offer. Reading the heads of a large model takes half a second, and a plan asks with each change of an
 * option: what was read holds as long as no file of the folder changes.
 */
export class FolderOffers {
  readonly #kept = new Map<string, { readonly state: string; readonly offers: Promise<readonly Offer[]> }>();

  /** @param path the folder's real path */
  of(path: string, files: readonly FolderFile[], label: string, versions: EngineVersions): Promise<readonly Offer[]> {
    const state = JSON.stringify([label, versions, files]);
    const known = this.#kept.get(path);
    if (known?.state === state) return known.offers;
    const signal = AbortSignal.timeout(longestMs);
    const offers = read(files, label, versions, signal);
    this.#kept.delete(path);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size >= mostKept && oldest !== undefined) this.#kept.delete(oldest);
    this.#kept.set(path, { state, offers });
    const forget = () => {
      if (this.#kept.get(path)?.offers === offers) this.#kept.delete(path);
    };
    // What a slow disk or a fault cut off is no finding to hold on to.
    offers.then(() => (signal.aborted ? forget() : undefined), forget);
    return offers;
  }
}

const read = async (
  files: readonly FolderFile[],
  label: string,
  versions: EngineVersions,
  signal: AbortSignal,
): Promise<readonly Offer[]> => [
  await ggufOffer(files, versions.llamacpp, signal),
  await safetensorsOffer(files, label, versions.vllm, signal),
];
