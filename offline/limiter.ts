import { performance } from 'node:perf_hooks';

const growEveryMs = 2000;
/** Less than this much more for one more stream is noise: the disk or the line is full. */
const worthwhile = 1.05;

/**
 * How many streams may run at once, over all images, layers and ranges. It begins low, adds a stream while that brings more
 * bytes, takes one back where it did not (a slow disk, a full line: hauler #697), and halves when a registry says 429.
 */
export class StreamLimit {
  readonly #most: number;
  #allowed: number;
  #running = 0;
  #waiting: (() => void)[] = [];
  #bytes = 0;
  #since = performance.now();
  #bestRate = 0;
  #pausedUntil = 0;

  constructor({ start = 4, most }: { start?: number; most: number }) {
    this.#most = Math.max(1, most);
    this.#allowed = Math.min(start, this.#most);
  }

  get allowed(): number {
    return this.#allowed;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    while (this.#running >= this.#allowed) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running += 1;
    try {
      return await work();
    } finally {
      this.#running -= 1;
      this.#wake();
    }
  }

  /** Bytes that reached the disk. */
  moved(bytes: number): void {
    this.#bytes += bytes;
    const nowMs = performance.now();
    if (nowMs - this.#since < growEveryMs) return;
    const rate = this.#bytes / (nowMs - this.#since);
    this.#bytes = 0;
    this.#since = nowMs;
    if (nowMs < this.#pausedUntil) return;
    if (rate > this.#bestRate * worthwhile) {
      this.#bestRate = rate;
      this.#allowed = Math.min(this.#most, this.#allowed + 1);
      this.#wake();
    } else if (rate < this.#bestRate * 0.7) {
      this.#allowed = Math.max(1, this.#allowed - 1);
      // What was best may be past: the line is shared with others.
      this.#bestRate = rate;
    }
  }

  /** A registry asked for patience. */
  throttled(waitMs: number): void {
    this.#allowed = Math.max(1, Math.floor(this.#allowed / 2));
    this.#pausedUntil = performance.now() + Math.max(waitMs, growEveryMs);
  }

  #wake(): void {
    for (let free = this.#allowed - this.#running; free > 0; free -= 1) this.#waiting.shift()?.();
  }
}
