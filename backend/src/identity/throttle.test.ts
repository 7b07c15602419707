import { describe, expect, it } from 'vitest';
import { LoginThrottle } from './throttle.ts';

const options = { freeFailures: 3, firstWaitMs: 100, longestWaitMs: 350, forgetMs: 10_000, maxEntries: 2 };

describe('the throttle', () => {
  it('lets the first failures pass, then doubles the wait up to the longest', () => {
    const throttle = new LoginThrottle(options);
    const waits = [0, 1, 2, 3, 4, 5].map(() => {
      const wait = throttle.waitMs('ada', 0);
      throttle.failed('ada', 0);
      return wait;
    });
    expect(waits).toEqual([0, 0, 0, 100, 200, 350]);
  });

  it('lets in again after the wait, and forgets at a success', () => {
    const throttle = new LoginThrottle(options);
    for (let n = 0; n < 3; n++) throttle.failed('ada', 0);
    expect(throttle.waitMs('ada', 60)).toBe(40);
    expect(throttle.waitMs('ada', 100)).toBe(0);
    throttle.succeeded('ada');
    throttle.failed('ada', 100);
    expect(throttle.waitMs('ada', 100)).toBe(0);
  });

  it('keeps names apart and holds only so many', () => {
    const throttle = new LoginThrottle(options);
    for (let n = 0; n < 3; n++) throttle.failed('ada', 0);
    expect(throttle.waitMs('bob', 0)).toBe(0);
    throttle.failed('bob', 1);
    throttle.failed('eve', 2);
    expect(throttle.waitMs('ada', 3)).toBe(0);
  });
});
