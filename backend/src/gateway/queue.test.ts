import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Place, type QueueRules, Queues } from './queue.ts';

const one: QueueRules = { maxConcurrent: 1, queueLimit: 100, queueTimeoutMs: 0 };

let queues: Queues;
/** Who was let in, in order. */
let admitted: string[];
const places = new Map<string, Place>();

beforeEach(() => {
  vi.useFakeTimers();
  queues = new Queues();
  admitted = [];
  places.clear();
});
afterEach(() => vi.useRealTimers());

/** Comes as `name`, whose key is what stands before the digit; gives how it was refused, if it was. */
async function come(name: string, rules = one, gone = new AbortController().signal): Promise<unknown> {
  try {
    const place = await queues.enter('m', name.replace(/\d+$/, ''), rules, () => gone);
    admitted.push(name);
    places.set(name, place);
    return null;
  } catch (error) {
    return error;
  }
}

/** Who was let in last leaves, and so on, until nobody is there. */
async function leaveAll(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0);
  for (let at = 0; at < admitted.length; at += 1) {
    places.get(admitted[at] ?? '')?.leave();
    await vi.advanceTimersByTimeAsync(0);
  }
}

describe('who waits', () => {
  it('takes turns by key: one with many requests does not keep out one with a single one', async () => {
    for (const name of ['a1', 'a2', 'a3', 'a4', 'b1', 'c1', 'c2']) void come(name);
    await leaveAll();
    expect(admitted).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'c2', 'a4']);
  });

  it('is told its position and for how long it waited', async () => {
    void come('a1');
    void come('a2');
    void come('b1');
    await vi.advanceTimersByTimeAsync(250);
    await leaveAll();
    expect(places.get('a1')).toMatchObject({ position: 0, waitedMs: 0 });
    expect(places.get('a2')).toMatchObject({ position: 1, waitedMs: 250 });
    expect(places.get('b1')).toMatchObject({ position: 2, waitedMs: 250 });
  });

  it('and leaves is forgotten at once, and keeps nobody out', async () => {
    const leaving = new AbortController();
    void come('a1');
    const left = come('b1', one, leaving.signal);
    void come('c1');
    leaving.abort();
    expect(await left).toBeInstanceOf(Error);
    expect(queues.depth('m')).toBe(1);
    await leaveAll();
    expect(admitted).toEqual(['a1', 'c1']);
  });

  it('had left already before it came: it does not wait', async () => {
    void come('a1');
    expect(await Promise.race([come('b1', one, AbortSignal.abort()), Promise.resolve('waits')])).not.toBe('waits');
    expect(queues.depth('m')).toBe(0);
  });

  it('for too long is told so, and when to come again', async () => {
    void come('a1');
    const late = come('b1', { ...one, queueTimeoutMs: 2000 });
    await vi.advanceTimersByTimeAsync(1999);
    expect(queues.depth('m')).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await late).toMatchObject({ code: 'queue_timeout', retryAfterSeconds: 1 });
    expect(queues.depth('m')).toBe(0);
    await leaveAll();
    expect(admitted).toEqual(['a1']);
  });

  it('is let in when an administrator gives more places, without that another has to leave', async () => {
    void come('a1');
    void come('a2');
    await vi.advanceTimersByTimeAsync(0);
    expect(admitted).toEqual(['a1']);
    void come('b1', { ...one, maxConcurrent: 3 });
    await vi.advanceTimersByTimeAsync(0);
    expect([...admitted].sort()).toEqual(['a1', 'a2', 'b1']);
  });
});

describe('a full queue', () => {
  it('refuses at once, and guesses from how long places are held when to come again', async () => {
    void come('a1');
    await vi.advanceTimersByTimeAsync(50_000);
    void come('a2', { ...one, queueLimit: 1 });
    places.get('a1')?.leave();
    await vi.advanceTimersByTimeAsync(0);
    void come('a3', { ...one, queueLimit: 1 });
    expect(await come('b1', { ...one, queueLimit: 1 })).toMatchObject({
      code: 'queue_full',
      status: 429,
      // A fifth of 50 s is what a place is held, smoothed; two are before it.
      retryAfterSeconds: 20,
    });
  });

  it('of no length refuses whoever finds no place', async () => {
    expect(await come('a1', { ...one, queueLimit: 0 })).toBeNull();
    expect(await come('a2', { ...one, queueLimit: 0 })).toMatchObject({ code: 'queue_full', retryAfterSeconds: 1 });
  });

  it('of one model is not that of another', async () => {
    await come('a1');
    expect(queues.enter('other', 'a', one, () => new AbortController().signal)).not.toBeInstanceOf(Promise);
  });
});

it('whatever comes, leaves and gives up, no place is given twice and none is lost', async () => {
  const step = fc.record({ kind: fc.constantFrom('come', 'come', 'leave', 'give up'), who: fc.nat(30) });
  const run = async (maxConcurrent: number, steps: { kind: string; who: number }[]) => {
    queues = new Queues();
    const inside: Place[] = [];
    const waiting: AbortController[] = [];
    for (const { kind, who } of steps) {
      if (kind === 'come') {
        const leaving = new AbortController();
        waiting.push(leaving);
        const done = () => void waiting.splice(waiting.indexOf(leaving), 1);
        const enter = async () => queues.enter('m', `k${who % 4}`, { ...one, maxConcurrent }, () => leaving.signal);
        enter().then((place) => {
          done();
          inside.push(place);
        }, done);
      } else if (kind === 'leave') inside.splice(who % (inside.length + 1), 1)[0]?.leave();
      else waiting[who % (waiting.length + 1)]?.abort();
      await vi.advanceTimersByTimeAsync(0);
      expect(queues.running('m')).toBe(inside.length);
      expect(queues.depth('m')).toBe(waiting.length);
      expect(inside.length).toBeLessThanOrEqual(maxConcurrent);
      expect(waiting.length > 0 && inside.length < maxConcurrent).toBe(false);
    }
    while (inside.length > 0) {
      inside.pop()?.leave();
      await vi.advanceTimersByTimeAsync(0);
    }
    expect([queues.running('m'), queues.depth('m')]).toEqual([0, 0]);
  };
  await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 60 }), run));
});
