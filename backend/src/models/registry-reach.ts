import type { RegistryAnswer } from '../../../contract/offline-policy.ts';
import type { Images } from '../../../docker/images.ts';
import { parseImageReference } from '../../../offline/image-reference.ts';

const askLimitMs = 5_000;
const answerKeepsMs = 30_000;
/** A registry that comes back is to be noticed soon. */
const silenceKeepsMs = 10_000;

export interface RegistryReachOptions {
  readonly images: Pick<Images, 'askRegistry'>;
  readonly limitMs?: number;
  readonly now?: () => number;
}

interface Kept {
  readonly answer: RegistryAnswer;
  readonly untilMs: number;
}

/**
 * Which registries answer the Engine. Each is asked at most once at a time and for no longer than the limit; its answer
 * is kept for a short while.
 */
export class RegistryReach {
  readonly #options: RegistryReachOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #asking = new Map<string, Promise<RegistryAnswer>>();

  constructor(options: RegistryReachOptions) {
    this.#options = options;
  }

  /** A fresh answer of the image's registry. @throws CortexError docker_unavailable */
  async of(image: string): Promise<RegistryAnswer> {
    const kept = this.#kept.get(image);
    return kept !== undefined && this.#now() < kept.untilMs ? kept.answer : this.#ask(image);
  }

  /** The last answer, at once; where it is stale or missing, the registry is asked meanwhile. */
  lastOf(image: string): RegistryAnswer | null {
    const kept = this.#kept.get(image);
    // Where no Docker answers, nothing is known of any registry.
    if (kept === undefined || this.#now() >= kept.untilMs) this.#ask(image).catch(() => this.#kept.delete(image));
    return kept?.answer ?? null;
  }

  #ask(image: string): Promise<RegistryAnswer> {
    const asking = this.#asking.get(image);
    if (asking !== undefined) return asking;
    const asked = this.#answerOf(image)
      .then((answer) => {
        this.#kept.set(image, { answer, untilMs: this.#now() + (answer.answers ? answerKeepsMs : silenceKeepsMs) });
        return answer;
      })
      .finally(() => this.#asking.delete(image));
    this.#asking.set(image, asked);
    return asked;
  }

  async #answerOf(image: string): Promise<RegistryAnswer> {
    const { images, limitMs = askLimitMs } = this.#options;
    const signal = AbortSignal.timeout(limitMs);
    const said = await images.askRegistry(image, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
      return { answers: false, reason: `no answer within ${limitMs / 1000} s` };
    });
    const { registry } = parseImageReference(image);
    return { registry, image, ...said, asked_at: new Date(this.#now()).toISOString() };
  }

  #now(): number {
    return this.#options.now?.() ?? Date.now();
  }
}
