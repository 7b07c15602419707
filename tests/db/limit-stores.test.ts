import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  type LimitAnswer,
  type LimitRequest,
  MemoryLimits,
  type SeededLimitStore,
} from '../../backend/src/gateway/limits.ts';
import { RedisLimits } from '../../backend/src/gateway/redis-limits.ts';
import { type SubjectLimit, subjectLimit } from '../../contract/routing.ts';
import { hasRedis, RedisServer } from './redis-server.ts';

const logger = { warn: () => undefined, info: () => undefined };
let counter = 0;
/** A subject that no other test knows. */
const limited = (limit: Partial<SubjectLimit>): SubjectLimit => {
  counter += 1;
  return subjectLimit.parse({ subject: 'key', id: `key-${counter}`, ...limit });
};
const asked = (limits: readonly SubjectLimit[], tokens = 0): LimitRequest => {
  counter += 1;
  return { requestId: `req_${counter}`, limits, tokens, nowMs: Date.now() };
};
const refusedBy = (answer: LimitAnswer) => (answer.allowed ? null : answer.name);

async function allowedOf(store: SeededLimitStore, limits: readonly SubjectLimit[], requests: number): Promise<number> {
  const answers = await Promise.all(Array.from({ length: requests }, () => store.take(asked(limits))));
  return answers.filter((answer) => answer.allowed).length;
}

const redis = new RedisServer();
beforeAll(async () => {
  if (hasRedis) await redis.start();
});
afterAll(() => redis.remove());
const inRedis = (whileAway: 'refuse' | 'allow' = 'refuse', leaseMs?: number) =>
  new RedisLimits({ url: redis.url, whileAway, logger, ...(leaseMs === undefined ? {} : { leaseMs }) });

const stores: [string, () => SeededLimitStore][] = [['memory', () => new MemoryLimits()]];
if (hasRedis) stores.push(['Redis', inRedis]);

describe.each(stores)('limits in %s', (_name, makeStore) => {
  let store: SeededLimitStore;
  beforeAll(async () => {
    store = makeStore();
    const probe = asked([limited({ requests_per_minute: 1 })]);
    await vi.waitUntil(async () => (await Promise.resolve(store.take(probe)).catch(() => null)) !== null);
  });
  afterAll(() => store.close());

  test('a minute allows so many requests, also when all come at once', async () => {
    const limit = limited({ requests_per_minute: 7 });
    expect(await allowedOf(store, [limit], 20)).toBe(7);
    const answer = await store.take(asked([limit]));
    expect(answer).toMatchObject({ allowed: false, subject: 'key', name: 'requests_per_minute', limit: 7 });
    if (!answer.allowed) expect(answer.retryAfterMs).toBeGreaterThan(60_000 / 7 - 2000);
  });

  test('what one limit refuses is taken of no other', async () => {
    const [wide, narrow] = [limited({ requests_per_minute: 10 }), limited({ requests_per_minute: 2 })];
    expect(await allowedOf(store, [wide, narrow], 9)).toBe(2);
    expect(await allowedOf(store, [wide], 20)).toBe(8);
  });

  test('the allowance that is used up first is told', async () => {
    const limits = [
      limited({ requests_per_minute: 100, tokens_per_minute: 5000 }),
      limited({ requests_per_minute: 3 }),
    ];
    expect(await store.take(asked(limits, 1000))).toMatchObject({
      allowed: true,
      checked: true,
      requests: { limit: 3, remaining: 2 },
      tokens: { limit: 5000, remaining: 4000 },
    });
  });

  test('a place is free again when its request has ended', async () => {
    const limit = limited({ concurrent_requests: 2 });
    const first = asked([limit]);
    await store.take(first);
    await store.take(asked([limit]));
    expect(refusedBy(await store.take(asked([limit])))).toBe('concurrent_requests');
    store.settle(first, 0);
    expect(refusedBy(await store.take(asked([limit])))).toBeNull();
  });

  test('a request that is given back counts nowhere, and may be taken again under its id', async () => {
    const limit = limited({ requests_per_minute: 1, tokens_per_day: 500, concurrent_requests: 1 });
    const request = asked([limit], 400);
    for (let n = 0; n < 3; n += 1) {
      expect(refusedBy(await store.take(request))).toBeNull();
      expect(refusedBy(await store.take(asked([limit])))).toBe('concurrent_requests');
      store.settle(request, null);
    }
  });

  test('the true count takes the place of the estimate', async () => {
    const limit = limited({ tokens_per_minute: 1000 });
    const generous = asked([limit], 900);
    await store.take(generous);
    expect(refusedBy(await store.take(asked([limit], 500)))).toBe('tokens_per_minute');
    store.settle(generous, 100);
    const second = asked([limit], 500);
    expect(refusedBy(await store.take(second))).toBeNull();
    // More than was set aside: the bucket is overdrawn, and the next one waits for it.
    store.settle(second, 5000);
    expect(refusedBy(await store.take(asked([limit], 1)))).toBe('tokens_per_minute');
  });

  test('a request larger than the allowance may go when nothing else has', async () => {
    const limit = limited({ tokens_per_minute: 100 });
    expect(refusedBy(await store.take(asked([limit], 5000)))).toBeNull();
    expect(refusedBy(await store.take(asked([limit], 1)))).toBe('tokens_per_minute');
  });

  test.each(['tokens_per_day', 'tokens_per_month'] as const)('%s ends with what is used', async (name) => {
    const limit = limited({ [name]: 1000 });
    const request = asked([limit], 10);
    await store.take(request);
    store.settle(request, 1000);
    const answer = await store.take(asked([limit], 1));
    expect(refusedBy(answer)).toBe(name);
    if (!answer.allowed) expect(answer.retryAfterMs).toBeGreaterThan(0);
  });

  test('a budget counts what was used before', async () => {
    const limit = limited({ tokens_per_day: 1000, tokens_per_month: 5000 });
    await store.seed('key', limit.id, { day: 400, month: 5000 });
    expect(refusedBy(await store.take(asked([limit], 1)))).toBe('tokens_per_month');
    const daily = limited({ tokens_per_day: 1000 });
    await store.seed('key', daily.id, { day: 1000, month: 1000 });
    // Less than is counted already: a reading that is behind.
    await store.seed('key', daily.id, { day: 10, month: 10 });
    expect(refusedBy(await store.take(asked([daily], 1)))).toBe('tokens_per_day');
  });
});

describe.runIf(hasRedis)('limits that gateways share in Redis', () => {
  const gateways: RedisLimits[] = [];
  const gateway = async (...options: Parameters<typeof inRedis>) => {
    const made = inRedis(...options);
    gateways.push(made);
    const probe = asked([limited({ requests_per_minute: 1 })]);
    await vi.waitUntil(async () => {
      const answer = await made.take(probe).catch(() => null);
      return answer !== null && (!answer.allowed || answer.checked);
    });
    return made;
  };
  afterAll(() => {
    for (const made of gateways) made.close();
  });

  test('two gateways give together what one may', async () => {
    const [one, other] = [await gateway(), await gateway()];
    const limit = limited({ requests_per_minute: 10 });
    const allowed = await Promise.all([allowedOf(one, [limit], 10), allowedOf(other, [limit], 10)]);
    expect(allowed[0] + allowed[1]).toBe(10);
  });

  test('the places of a gateway that died are free when its lease ends, those of a living one stay taken', async () => {
    const [dying, living] = [await gateway('refuse', 600), await gateway('refuse', 600)];
    const [lost, held] = [limited({ concurrent_requests: 1 }), limited({ concurrent_requests: 1 })];
    await dying.take(asked([lost]));
    await living.take(asked([held]));
    dying.close();
    expect(refusedBy(await living.take(asked([lost])))).toBe('concurrent_requests');
    await vi.waitUntil(async () => refusedBy(await living.take(asked([lost]))) === null, {
      timeout: 3000,
      interval: 100,
    });
    expect(refusedBy(await living.take(asked([held])))).toBe('concurrent_requests');
  });

  test.each(['refuse', 'allow'] as const)('without Redis requests are treated as set: %s', async (whileAway) => {
    const store = await gateway(whileAway);
    const limits = [limited({ requests_per_minute: 1 })];
    const outcome = async () => {
      try {
        const answer = await store.take(asked(limits));
        return answer.allowed && !answer.checked ? 'allow' : 'checked';
      } catch (error) {
        return error instanceof Error && 'code' in error && error.code === 'limits_unavailable' ? 'refuse' : 'broken';
      }
    };
    await redis.kill();
    expect(await outcome()).toBe(whileAway);
    expect(store.available).toBe(false);
    await redis.start();
    await vi.waitUntil(async () => (await outcome()) === 'checked', { timeout: 10_000, interval: 100 });
    expect(store.available).toBe(true);
  });

  test('a Redis that hangs holds a request for a second at most', async () => {
    const store = await gateway('refuse');
    redis.freeze();
    try {
      const beganAt = performance.now();
      await expect(store.take(asked([limited({ requests_per_minute: 1 })]))).rejects.toMatchObject({
        code: 'limits_unavailable',
      });
      expect(performance.now() - beganAt).toBeLessThan(3000);
    } finally {
      redis.thaw();
    }
    const again = async () => (await store.take(asked([limited({ requests_per_minute: 1 })]))).allowed;
    await vi.waitUntil(() => again().catch(() => false), { timeout: 20_000, interval: 200 });
    expect(store.available).toBe(true);
  });

  test('no password is in what is logged', async () => {
    const lines: string[] = [];
    const keep = (details: object, message: string) => {
      lines.push(message, ...Object.values(details).map((value) => String(value)));
    };
    const url = redis.url.replace(redis.password, 'wrong-and-secret');
    const store = new RedisLimits({ url, whileAway: 'refuse', logger: { warn: keep, info: keep } });
    try {
      await expect(store.take(asked([limited({ requests_per_minute: 1 })]))).rejects.toThrow();
      await vi.waitUntil(() => lines.length > 0);
      expect(lines.join('\n')).not.toContain('wrong-and-secret');
    } finally {
      store.close();
    }
  });
});
