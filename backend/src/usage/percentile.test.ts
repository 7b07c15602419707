import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { histogramBoundsMs } from '../../../contract/usage-analytics.ts';
import { percentile } from './percentile.ts';

const barOf = (value: number) => {
  const bar = histogramBoundsMs.findIndex((bound) => value < bound);
  return bar === -1 ? histogramBoundsMs.length : bar;
};

describe('a percentile of a histogram', () => {
  it('falls into the bar of the true one', () => {
    const values = fc.array(fc.double({ min: 0, max: 102_399, noNaN: true }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(values, fc.constantFrom(0.01, 0.5, 0.95, 1), (all, share) => {
        const counts = Array.from({ length: histogramBoundsMs.length + 1 }, () => 0);
        for (const value of all) counts[barOf(value)] = (counts[barOf(value)] ?? 0) + 1;
        const sorted = [...all].sort((a, b) => a - b);
        const exact = barOf(sorted[Math.ceil(share * all.length) - 1] ?? 0);
        const found = percentile(counts, histogramBoundsMs, share);
        expect(found).toBeGreaterThanOrEqual(histogramBoundsMs[exact - 1] ?? 0);
        expect(found).toBeLessThanOrEqual(histogramBoundsMs[exact] ?? Number.NaN);
      }),
    );
  });

  it('is null for nothing and the last bound for what is longer', () => {
    expect(percentile([0, 0, 0], [10, 20], 0.5)).toBeNull();
    expect(percentile([0, 0, 4], [10, 20], 0.5)).toBe(20);
  });
});
