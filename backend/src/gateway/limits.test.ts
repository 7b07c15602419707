import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { limit, type SubjectLimit } from '../../../contract/routing.ts';
import { type LimitRequest, MemoryLimits } from './limits.ts';

const noon = Date.parse('2026-11-23T12:00:00Z');
const minuteMs = 60_000;
const of = (values: Partial<SubjectLimit>): SubjectLimit => ({
  subject: 'key',
  id: 'key-1',
  ...limit.parse({}),
  ...values,
});
let count = 0;
const request = (limits: readonly SubjectLimit[], tokens = 0, nowMs = noon): LimitRequest => {
  count += 1;
  return { requestId: `req_${count}`, limits, tokens, nowMs };
};

describe("a minute's allowance", () => {
  const gaps = fc.array(fc.oneof(fc.nat(50), fc.nat(5_000), fc.nat(90_000)), { minLength: 1, maxLength: 300 });

  it('never gives more than twice of it within any minute, however requests come', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), gaps, (perMinute, pauses) => {
        const limits = new MemoryLimits();
        const rules = [of({ requests_per_minute: perMinute })];
        const admitted: number[] = [];
        let nowMs = noon;
        for (const pause of pauses) {
          nowMs += pause;
          if (limits.take(request(rules, 0, nowMs)).allowed) admitted.push(nowMs);
        }
        for (const [at, fromMs] of admitted.entries()) {
          const within = admitted.slice(at).filter((atMs) => atMs < fromMs + minuteMs);
          expect(within.length).toBeLessThanOrEqual(2 * perMinute);
        }
      }),
    );
  });

  it('lets a refused request in after the time that it told', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), gaps, (perMinute, pauses) => {
        const limits = new MemoryLimits();
        const rules = [of({ requests_per_minute: perMinute })];
        let nowMs = noon;
        for (const pause of pauses) {
          nowMs += pause % 100;
          const answer = limits.take(request(rules, 0, nowMs));
          if (answer.allowed) continue;
          expect(answer).toMatchObject({ name: 'requests_per_minute', limit: perMinute });
          nowMs += Math.ceil(answer.retryAfterMs);
          expect(limits.take(request(rules, 0, nowMs)).allowed).toBe(true);
        }
      }),
    );
  });

  it('is told as it falls and refills', () => {
    const limits = new MemoryLimits();
    const rules = [of({ requests_per_minute: 60 })];
    expect(limits.take(request(rules))).toMatchObject({ requests: { limit: 60, remaining: 59, resetMs: 1000 } });
    expect(limits.take(request(rules))).toMatchObject({ requests: { remaining: 58, resetMs: 2000 } });
    expect(limits.take(request(rules, 0, noon + 1000))).toMatchObject({ requests: { remaining: 58 }, tokens: null });
  });

  it('of tokens lets one request overdraw it when it is full, and none until that is paid back', () => {
    const limits = new MemoryLimits();
    const rules = [of({ tokens_per_minute: 100 })];
    expect(limits.take(request(rules, 250)).allowed).toBe(true);
    const refused = limits.take(request(rules, 1));
    expect(refused).toMatchObject({ allowed: false, name: 'tokens_per_minute', retryAfterMs: 1.51 * minuteMs });
    expect(limits.take(request(rules, 1, noon + 1.5 * minuteMs)).allowed).toBe(false);
    expect(limits.take(request(rules, 1, noon + 1.6 * minuteMs)).allowed).toBe(true);
  });

  it('is not given anew by a clock that is set back', () => {
    const limits = new MemoryLimits();
    const rules = [of({ requests_per_minute: 1 })];
    expect(limits.take(request(rules)).allowed).toBe(true);
    expect(limits.take(request(rules, 0, noon - 3_600_000)).allowed).toBe(false);
  });
});

describe('what is taken and settled balances:', () => {
  const everyLimit = { tokens_per_minute: 1000, tokens_per_day: 1_000_000, tokens_per_month: 1_000_000 };

  it('requests that used nothing leave every allowance as it was, in whatever order they end', () => {
    const steps = fc.array(fc.tuple(fc.nat(200), fc.nat(20)), { maxLength: 60 });
    fc.assert(
      fc.property(steps, (taken) => {
        const limits = new MemoryLimits();
        const rules = [of({ ...everyLimit, concurrent_requests: 5 }), of({ subject: 'model', id: 'm', ...everyLimit })];
        const open: LimitRequest[] = [];
        for (const [tokens, at] of taken) {
          const asked = request(rules, tokens);
          if (limits.take(asked).allowed) open.push(asked);
          const [ending] = open.splice(at % 6, 1);
          if (ending !== undefined) limits.settle(ending, 0);
        }
        for (const ending of open) limits.settle(ending, 0);
        const whole = request(rules, 1000);
        expect(limits.take(whole)).toMatchObject({ allowed: true, tokens: { remaining: 0 } });
        limits.settle(whole, 0);
        const places = Array.from({ length: 6 }, () => limits.take(request(rules)).allowed);
        expect(places).toEqual([true, true, true, true, true, false]);
      }),
    );
  });

  it('a request that is given back leaves every allowance as it was', () => {
    const limits = new MemoryLimits();
    const rules = [of({ ...everyLimit, requests_per_minute: 1, concurrent_requests: 1 })];
    for (let n = 0; n < 5; n += 1) {
      const asked = request(rules, 900);
      expect(limits.take(asked)).toMatchObject({
        allowed: true,
        requests: { remaining: 0 },
        tokens: { remaining: 100 },
      });
      limits.settle(asked, null);
    }
  });

  it('what was used counts, not what was set aside', () => {
    const limits = new MemoryLimits();
    const rules = [of({ tokens_per_day: 100 })];
    const asked = request(rules, 5);
    limits.take(asked);
    limits.settle(asked, 100);
    expect(limits.take(request(rules))).toMatchObject({ allowed: false, name: 'tokens_per_day', limit: 100 });
  });

  it('a request that one limit refuses takes nothing of the others', () => {
    const limits = new MemoryLimits();
    const wide = of({ requests_per_minute: 2, concurrent_requests: 1 });
    const narrow = of({ subject: 'model', id: 'm', requests_per_minute: 1 });
    limits.take(request([narrow]));
    for (let n = 0; n < 5; n += 1)
      expect(limits.take(request([wide, narrow]))).toMatchObject({ allowed: false, subject: 'model' });
    expect(limits.take(request([wide]))).toMatchObject({ allowed: true, requests: { remaining: 1 } });
  });

  it('one subject does not use what is another', () => {
    const limits = new MemoryLimits();
    const [key, user] = [of({ requests_per_minute: 1 }), of({ subject: 'user', requests_per_minute: 1 })];
    expect(limits.take(request([key])).allowed).toBe(true);
    expect(limits.take(request([user])).allowed).toBe(true);
    expect(limits.take(request([of({ id: 'key-2', requests_per_minute: 1 })])).allowed).toBe(true);
    expect(limits.take(request([key])).allowed).toBe(false);
  });
});

describe('a quota', () => {
  const used = (rules: SubjectLimit, tokens: number, nowMs: number) => {
    const limits = new MemoryLimits();
    const asked = request([rules], tokens, nowMs);
    limits.take(asked);
    limits.settle(asked, tokens);
    return limits;
  };

  it('of a day ends at midnight in UTC', () => {
    const rules = of({ tokens_per_day: 10 });
    const limits = used(rules, 10, noon);
    const hours = 12 * 3_600_000;
    expect(limits.take(request([rules]))).toMatchObject({ name: 'tokens_per_day', retryAfterMs: hours });
    expect(limits.take(request([rules], 0, noon + hours - 1)).allowed).toBe(false);
    expect(limits.take(request([rules], 0, noon + hours)).allowed).toBe(true);
  });

  it('of a month ends with the month, also that of December', () => {
    const rules = of({ tokens_per_month: 10 });
    const silvester = Date.parse('2026-12-31T23:59:59Z');
    const limits = used(rules, 10, Date.parse('2026-12-01T00:00:00Z'));
    expect(limits.take(request([rules], 0, silvester))).toMatchObject({ name: 'tokens_per_month', retryAfterMs: 1000 });
    expect(limits.take(request([rules], 0, silvester + 1000)).allowed).toBe(true);
  });

  it('begins with what was used before', () => {
    vi.useFakeTimers({ now: noon });
    try {
      const limits = new MemoryLimits();
      limits.seed('key', 'key-1', { day: 10, month: 10 });
      expect(limits.take(request([of({ tokens_per_day: 10 })])).allowed).toBe(false);
      expect(limits.take(request([of({ tokens_per_day: 11 })])).allowed).toBe(true);
    } finally {
      vi.useRealTimers();
    }
  });
});
