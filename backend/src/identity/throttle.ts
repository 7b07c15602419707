/** How failed sign-ins are slowed down. Times in milliseconds. */
export interface ThrottleOptions {
  readonly freeFailures: number;
  readonly firstWaitMs: number;
  readonly longestWaitMs: number;
  /** After so long without a failure a name starts afresh. */
  readonly forgetMs: number;
  readonly maxEntries: number;
}

const defaults: ThrottleOptions = {
  freeFailures: 5,
  firstWaitMs: 2_000,
  longestWaitMs: 15 * 60_000,
  forgetMs: 60 * 60_000,
  maxEntries: 10_000,
};

/** Counts failures by user and address: after a few, each doubles the wait. Bounded, so guessing names does not fill memory. */
export class LoginThrottle {
  readonly #options: ThrottleOptions;
  readonly #entries = new Map<string, { failures: number; lastMs: number }>();

  constructor(options: Partial<ThrottleOptions> = {}) {
    this.#options = { ...defaults, ...options };
  }

  /** Milliseconds until the next try is allowed; 0 is now. */
  waitMs(key: string, nowMs: number): number {
    const entry = this.#entries.get(key);
    if (!entry || nowMs - entry.lastMs > this.#options.forgetMs) return 0;
    const beyond = entry.failures - this.#options.freeFailures;
    if (beyond < 0) return 0;
    const wait = Math.min(this.#options.firstWaitMs * 2 ** beyond, this.#options.longestWaitMs);
    return Math.max(0, entry.lastMs + wait - nowMs);
  }

  failed(key: string, nowMs: number): void {
    const before = this.#entries.get(key);
    const failures = before && nowMs - before.lastMs <= this.#options.forgetMs ? before.failures + 1 : 1;
    // Set anew, so that the map's order is by the last failure and the oldest goes first.
    this.#entries.delete(key);
    this.#entries.set(key, { failures, lastMs: nowMs });
    if (this.#entries.size > this.#options.maxEntries) {
      const oldest = this.#entries.keys().next().value;
      if (oldest !== undefined) this.#entries.delete(oldest);
    }
  }

  succeeded(key: string): void {
    this.#entries.delete(key);
  }
}
