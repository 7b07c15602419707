const windowMs = 10_000;
const sliceMs = 250;

/** Bytes per second over the last ten seconds. */
export class TransferRate {
  readonly #slices: { readonly atMs: number; bytes: number }[] = [];
  readonly #beganMs: number;

  constructor(nowMs: number) {
    this.#beganMs = nowMs;
  }

  add(bytes: number, nowMs: number): void {
    const last = this.#slices.at(-1);
    if (last !== undefined && nowMs - last.atMs < sliceMs) last.bytes += bytes;
    else this.#slices.push({ atMs: nowMs, bytes });
    this.#forget(nowMs);
  }

  /** Null in the first second, when it would be a guess. */
  read(nowMs: number): number | null {
    this.#forget(nowMs);
    const overMs = Math.min(windowMs, nowMs - this.#beganMs);
    if (overMs < 1000) return null;
    return (this.#slices.reduce((sum, { bytes }) => sum + bytes, 0) * 1000) / overMs;
  }

  #forget(nowMs: number): void {
    while (this.#slices[0] !== undefined && nowMs - this.#slices[0].atMs > windowMs) this.#slices.shift();
  }
}
