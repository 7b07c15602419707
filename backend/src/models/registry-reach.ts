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

  /** A fresh answer of the image's registry. */
  async of(image: string): Promise<RegistryAnswer> {
    const kept = this.#kept.get(image);
    return kept !== undefined && this.#now() < kept.untilMs ? kept.answer : this.#ask(image);
  }

  /** The last answer, at once; where it is stale or missing, the registry is asked meanwhile. */
  lastOf(image: string): RegistryAnswer | null {
    const kept = this.#kept.get(image);
    if (kept === undefined || this.#now() >= kept.untilMs) void this.#ask(image);
    return kept?.answer ?? null;
  }

  #ask(image: string): Promise<RegistryAnswer> {
    const asking = this.#asking.get(image);
    if (asking !== undefined) return asking;
    const asked = this.#answerOf(image).then((answer) => {
      this.#kept.set(image, { answer, untilMs: this.#now() + (answer.answers ? answerKeepsMs : silenceKeepsMs) });
      this.#asking.delete(image);
      return answer;
    });
    this.#asking.set(image, asked);
    return asked;
  }

  /** Never rejects: what can't be asked does not answer. */
  async #answerOf(image: string): Promise<RegistryAnswer> {
    const { images, limitMs = askLimitMs } = this.#options;
    const signal = AbortSignal.timeout(limitMs);
    const said = await images.askRegistry(image, signal).catch((error: unknown) => ({
      answers: false,
      reason: signal.aborted
        ? `no answer within ${limitMs / 1000} s`
        : error instanceof Error
          ? error.message
          : String(error),
    }));
    const { registry } = parseImageReference(image);
    return { registry, image, ...said, asked_at: new Date(this.#now()).toISOString() };
  }

  #now(): number {
    return this.#options.now?.() ?? Date.now();
  }
}
