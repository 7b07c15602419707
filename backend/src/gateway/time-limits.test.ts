import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { forgetTime, type TimeLimited, watchTime } from './time-limits.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

let looks: string[] = [];
const watch = (name: string, then: () => void = () => undefined): TimeLimited => {
  const one: TimeLimited = {
    watchedAt: -1,
    checkTime: () => {
      looks.push(name);
      then();
    },
  };
  watchTime(one);
  return one;
};

it('all are looked at each time, whoever is forgotten meanwhile, and nobody who was', () => {
  const kept = [watch('a')];
  const leaving: TimeLimited = watch('b', () => forgetTime(leaving));
  kept.push(watch('c'));
  const last: TimeLimited = watch('d', () => forgetTime(last));
  vi.advanceTimersByTime(50);
  expect(new Set(looks)).toEqual(new Set(['a', 'b', 'c', 'd']));
  looks = [];
  forgetTime(leaving);
  vi.advanceTimersByTime(50);
  expect([...looks].sort()).toEqual(['a', 'c']);
  looks = [];
  for (const one of kept) forgetTime(one);
  vi.advanceTimersByTime(100);
  expect(looks).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});
