import { afterEach, describe, expect, it, vi } from 'vitest';
import { UsageRetention, type UsageRetentionOptions } from './retention.ts';

const quiet = { info: () => undefined, warn: () => undefined };
const retentionOf = (more: Partial<UsageRetentionOptions>) =>
  new UsageRetention({
    retentionDays: 30,
    hourlyRetentionDays: 400,
    raiseHorizon: async () => undefined,
    deleteRequests: async () => 0,
    deleteHours: async () => 0,
    logger: quiet,
    pauseMs: 0,
    ...more,
  });
afterEach(() => vi.useRealTimers());

describe('retention', () => {
  it('raises the horizon before it deletes, and deletes in batches until one is not full', async () => {
    const done: string[] = [];
    let left = 25;
    const retention = retentionOf({
      batchSize: 10,
      raiseHorizon: async (before) => void done.push(`horizon ${before.toISOString().slice(0, 10)}`),
      deleteRequests: async (_before, limit) => {
        const count = Math.min(limit, left);
        left -= count;
        done.push(`delete ${count}`);
        return count;
      },
    });
    expect(await retention.sweep(Date.UTC(2026, 1, 1))).toEqual({ requests: 25, hours: 0 });
    expect(done).toEqual(['horizon 2026-01-02', 'delete 10', 'delete 10', 'delete 5']);
    await retention.close();
  });

  it('stops after the batch that runs', async () => {
    const deleteRequests = vi.fn(async (_before: Date, limit: number) => limit);
    const retention = retentionOf({ deleteRequests, firstAfterMs: 0 });
    await vi.waitFor(() => expect(deleteRequests).toHaveBeenCalled());
    await retention.close();
    const calls = deleteRequests.mock.calls.length;
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(deleteRequests.mock.calls.length).toBe(calls);
  });

  it('tries again in an hour where the database does not answer', async () => {
    vi.useFakeTimers();
    const raiseHorizon = vi.fn(async () => Promise.reject(new Error('gone')));
    const retention = retentionOf({ raiseHorizon, firstAfterMs: 1000 });
    await vi.advanceTimersByTimeAsync(1000);
    expect(raiseHorizon).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(raiseHorizon).toHaveBeenCalledTimes(2);
    await retention.close();
  });
});
