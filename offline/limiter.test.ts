import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { StreamLimit } from './limiter.ts';

async function mostAtOnce(limit: StreamLimit, works: number): Promise<number> {
  let running = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: works }, () =>
      limit.run(async () => {
        running += 1;
        most = Math.max(most, running);
        await sleep(2);
        running -= 1;
      }),
    ),
  );
  return most;
}

describe('the limit of streams', () => {
  it('is never passed, and all work is done', async () => {
    expect(await mostAtOnce(new StreamLimit({ start: 3, most: 8 }), 40)).toBe(3);
    expect(await mostAtOnce(new StreamLimit({ most: 1 }), 5)).toBe(1);
  });

  it('is halved when a registry asks for patience, and never below one', async () => {
    const limit = new StreamLimit({ start: 8, most: 8 });
    limit.throttled(10);
    expect(await mostAtOnce(limit, 30)).toBe(4);
    for (let times = 0; times < 9; times += 1) limit.throttled(10);
    expect(await mostAtOnce(limit, 5)).toBe(1);
  });

  it('lets work that fails go', async () => {
    const limit = new StreamLimit({ most: 1 });
    await expect(limit.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await limit.run(() => Promise.resolve(7))).toBe(7);
  });
});
