import type { Spread } from './job.ts';

/** What went wrong, counted, with the first few as examples. */
export class Tally {
  readonly examples: string[] = [];
  failures = 0;
  answered = 0;

  failed(reason: string): void {
    this.failures += 1;
    if (this.examples.length < 5) this.examples.push(reason.slice(0, 300));
  }
}

/** Middle, 99th of a hundred, and largest. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? 0 };
}
