import fc from 'fast-check';
import { expect, it } from 'vitest';
import { niceTicks } from './ticks.ts';

it('ticks are few, start at 0 and reach over the largest value', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10 ** 12 }), (most) => {
      const ticks = niceTicks(most);
      expect(ticks[0]).toBe(0);
      expect(ticks.at(-1)).toBeGreaterThanOrEqual(most);
      expect(ticks.length).toBeGreaterThan(1);
      expect(ticks.length).toBeLessThan(7);
      expect(ticks.every(Number.isInteger)).toBe(true);
    }),
  );
});
