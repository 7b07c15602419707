import { beforeEach, describe, expect, it, vi } from 'vitest';
import { subjectLimit } from '../../../contract/routing.ts';
import { MemoryLimits } from '../gateway/limits.ts';
import { type QueueRules, Queues } from '../gateway/queue.ts';
import { RoutingTable } from '../routing/table.ts';
import type { Answer, Ask } from './asks.ts';
import { Bundle } from './bundle.ts';
import { Desk } from './desk.ts';
import { Asked, SharedLimits, SharedQueues } from './shared.ts';

const table = new RoutingTable();
const keyLimit = subjectLimit.parse({ subject: 'key', id: 'k', concurrent_requests: 2, requests_per_minute: 100 });
const onePlace: QueueRules = { maxConcurrent: 1, queueLimit: 2, queueTimeoutMs: 0 };
const waker = { wake: async () => undefined };
const stays = () => new AbortController().signal;

/** Both ends, with the messages as a pipe would carry them. */
function worker(first: { limits: MemoryLimits; queues: Queues }) {
  let messages = 0;
  const carried = <T>(all: readonly T[]): T[] => {
    messages += 1;
    return JSON.parse(JSON.stringify(all)) as T[];
  };
  const answers = new Bundle<Answer>((all) => asked.answered(carried(all)));
  const refused: [string, number][] = [];
  const heard = { onTally: () => undefined, onRefused: (...counted: [string, number]) => void refused.push(counted) };
  const desk = new Desk({ table, ...first, waker, ...heard }, (answer) => answers.add(answer));
  const asks = new Bundle<Ask>((all) => desk.take(carried(all)));
  const asked = new Asked((ask) => asks.add(ask));
  return {
    limits: new SharedLimits(asked),
    queues: new SharedQueues(asked),
    desk,
    asks,
    refused,
    messages: () => messages,
  };
}

describe('workers', () => {
  let first: { limits: MemoryLimits; queues: Queues };
  let one: ReturnType<typeof worker>;
  let other: ReturnType<typeof worker>;
  let number = 0;
  const asking = () => ({ requestId: `r${number++}`, limits: [keyLimit], tokens: 0, nowMs: Date.now() });
  beforeEach(() => {
    table.replace({ limits: [keyLimit] });
    first = { limits: new MemoryLimits(), queues: new Queues() };
    one = worker(first);
    other = worker(first);
  });

  it('take from the same limits', async () => {
    const request = asking();
    expect(await one.limits.take(request)).toMatchObject({ allowed: true, requests: { limit: 100, remaining: 99 } });
    expect(await other.limits.take(asking())).toMatchObject({ allowed: true });
    expect(await other.limits.take(asking())).toMatchObject({ allowed: false, name: 'concurrent_requests' });
    one.limits.settle(request, 5);
    expect(await other.limits.take(asking())).toMatchObject({ allowed: true });
  });

  it('give a request back, so that it counts nowhere', async () => {
    const request = asking();
    await one.limits.take(request);
    one.limits.settle(request, null);
    expect(await other.limits.take(asking())).toMatchObject({ allowed: true, requests: { remaining: 99 } });
  });

  it('say when to come again where limits cannot be checked', async () => {
    first.limits.take = () => {
      throw new Error('no Redis');
    };
    await expect(one.limits.take(asking())).rejects.toMatchObject({ code: 'limits_unavailable', retryAfterSeconds: 1 });
  });

  it('ask in one message for all that comes in one turn', async () => {
    await Promise.all(Array.from({ length: 50 }, () => one.limits.take(asking())));
    expect(one.messages()).toBe(2);
  });

  it('share the places at a model, and a place that one gives back goes to the other', async () => {
    const place = await one.queues.enter('m', 'a', onePlace, stays);
    const waiting = Promise.resolve(other.queues.enter('m', 'b', onePlace, stays));
    await vi.waitFor(() => expect(first.queues.depth('m')).toBe(1));
    place.leave();
    expect(await waiting).toMatchObject({ position: 1 });
  });

  it('are told when the queue is full, and for how long to wait', async () => {
    await one.queues.enter('m', 'a', { ...onePlace, queueLimit: 0 }, stays);
    await expect(other.queues.enter('m', 'b', { ...onePlace, queueLimit: 0 }, stays)).rejects.toMatchObject({
      code: 'queue_full',
      retryAfterSeconds: 1,
    });
  });

  it('are told when the wait was too long', async () => {
    await one.queues.enter('m', 'a', onePlace, stays);
    const waiting = other.queues.enter('m', 'b', { ...onePlace, queueTimeoutMs: 20 }, stays);
    await expect(waiting).rejects.toMatchObject({ code: 'queue_timeout' });
    expect(first.queues.depth('m')).toBe(0);
  });

  it('stop waiting when their client leaves', async () => {
    const place = await one.queues.enter('m', 'a', onePlace, stays);
    const gone = new AbortController();
    const waiting = Promise.resolve(other.queues.enter('m', 'b', onePlace, () => gone.signal));
    await vi.waitFor(() => expect(first.queues.depth('m')).toBe(1));
    gone.abort();
    await expect(waiting).rejects.toThrow();
    expect(first.queues.depth('m')).toBe(0);
    place.leave();
    await vi.waitFor(() => expect(first.queues.running('m')).toBe(0));
  });

  it('give a place back that came when its client had left already', async () => {
    const gone = new AbortController();
    const entering = Promise.resolve(one.queues.enter('m', 'a', onePlace, () => gone.signal));
    gone.abort();
    await expect(entering).rejects.toThrow();
    await vi.waitFor(() => expect(first.queues.running('m')).toBe(0));
  });

  it('lose all that they held when they die', async () => {
    await one.queues.enter('m', 'a', onePlace, stays);
    void Promise.resolve(one.queues.enter('m', 'a', onePlace, stays)).catch(() => undefined);
    await one.limits.take(asking());
    await one.limits.take(asking());
    await vi.waitFor(() => expect(first.queues.depth('m')).toBe(1));
    one.desk.close();
    expect(await other.queues.enter('m', 'b', onePlace, stays)).toMatchObject({ position: 0 });
    expect(await other.limits.take(asking())).toMatchObject({ allowed: true });
    await vi.waitFor(() => expect(first.queues.depth('m')).toBe(0));
  });

  it('ask nobody where a model answers as many as come', () => {
    const place = one.queues.enter('m', 'a', { ...onePlace, maxConcurrent: null }, stays);
    expect(place).toMatchObject({ position: 0 });
    expect(one.queues.running).toEqual({ m: 1 });
    expect(one.messages()).toBe(0);
  });

  it('tell what they refused, summed up', async () => {
    one.asks.add({ ask: 'refused', counts: { invalid_api_key: 3, route_not_found: 1 } });
    await vi.waitFor(() => expect(one.refused).toHaveLength(2));
    expect(one.refused).toEqual([
      ['invalid_api_key', 3],
      ['route_not_found', 1],
    ]);
  });

  it('are limited no more by a limit that was removed', async () => {
    table.replace({ limits: [] });
    expect(await one.limits.take(asking())).toMatchObject({ allowed: true, requests: null });
  });
});
