import { expect, it } from 'vitest';
import { startTimeoutMs } from './start-timeout.ts';

it('a model has the time that is set to start, and a large one as long as a hard disk takes to read it', () => {
  expect(startTimeoutMs(null, 900)).toBe(900_000);
  expect(startTimeoutMs(16e9, 900)).toBe(900_000);
  expect(startTimeoutMs(140e9, 900)).toBe(2_800_000);
});
