import type { LimitSubject, SubjectLimit } from '../../../contract/routing.ts';

/** What a request asks of the limits of all that it belongs to: its key, user, organisation and model. */
export interface LimitRequest {
  readonly requestId: string;
  readonly limits: readonly SubjectLimit[];
  /** Tokens set aside until the true count is known. */
  readonly tokens: number;
  readonly nowMs: number;
  /** For the store alone, which may number what it has given. */
  slot?: number;
}

/** One allowance as the x-ratelimit headers tell it. */
export interface Allowance {
  readonly limit: number;
  readonly remaining: number;
  readonly resetMs: number;
}

export type LimitName = Exclude<keyof SubjectLimit, 'subject' | 'id'>;

export type LimitAnswer =
  | {
      readonly allowed: true;
      /** False where it was let through unseen. */
      readonly checked: boolean;
      readonly requests: Allowance | null;
      readonly tokens: Allowance | null;
    }
  | {
      readonly allowed: false;
      readonly subject: SubjectLimit['subject'];
      readonly name: LimitName;
      readonly limit: number;
      readonly retryAfterMs: number;
    };

/** Counts what subjects use. In this process, in the one that workers share, or in Redis. */
export interface LimitStore {
  /** Takes from every limit or from none. @throws CortexError limits_unavailable */
  take(request: LimitRequest): LimitAnswer | Promise<LimitAnswer>;
  /** The request has ended and has used so many tokens; null: it counts nowhere, as if it had not been asked. */
  settle(request: LimitRequest, usedTokens: number | null): void;
}

/** A store that knows what was used before it began. */
export interface SeededLimitStore extends LimitStore {
  /** False while nothing can be checked. */
  readonly available: boolean;
  /** Tokens of today and of this month that are known to be spent; where more were counted, that stands. */
  seed(subject: LimitSubject, id: string, spent: { day: number; month: number }): void | Promise<void>;
  close(): void;
}

interface Bucket {
  level: number;
  atMs: number;
}

/** Tokens of the day or month that `period` names. */
interface Budget {
  period: number;
  used: number;
}

interface Usage {
  requests: Bucket | null;
  tokens: Bucket | null;
  running: number;
  day: Budget;
  month: Budget;
}

export const minuteMs = 60_000;
/** What adding up parts of a minute may lack of a whole: nobody is sent away for it. */
const roundingError = 1e-6;
const dayMs = 86_400_000;
const dayOf = (nowMs: number) => Math.floor(nowMs / dayMs);

/** The months since year 0. Asked several times a request, and the same for a whole day. */
function monthOf(nowMs: number): number {
  const day = dayOf(nowMs);
  if (day !== lastDay) {
    const date = new Date(nowMs);
    lastMonth = date.getUTCFullYear() * 12 + date.getUTCMonth();
    lastDay = day;
  }
  return lastMonth;
}
let lastDay = Number.NaN;
let lastMonth = 0;

/**
 * Limits of one process. A minute's allowance is a bucket that refills steadily: the whole of it may be used at once, and
 * never more than twice of it within any minute. Tokens are taken as an estimate and set right at the end of the request, so
 * a bucket can be overdrawn; the overdraft is paid back before the next request.
 */
export class MemoryLimits implements SeededLimitStore {
  readonly available = true;
  readonly #subjects = new Map<LimitSubject, Map<string, Usage>>();

  seed(subject: LimitSubject, id: string, spent: { day: number; month: number }): void {
    const usage = this.#of(subject, id, Date.now());
    usage.day.used = Math.max(usage.day.used, spent.day);
    usage.month.used = Math.max(usage.month.used, spent.month);
  }

  close(): void {}

  take({ limits, tokens, nowMs }: LimitRequest): LimitAnswer {
    for (const limit of limits) {
      const refusal = this.#refusal(limit, tokens, nowMs);
      if (refusal !== null) return { allowed: false, subject: limit.subject, ...refusal };
    }
    let requests: Allowance | null = null;
    let tokenAllowance: Allowance | null = null;
    for (const limit of limits) {
      const usage = this.#of(limit.subject, limit.id, nowMs);
      usage.running += 1;
      usage.day.used += tokens;
      usage.month.used += tokens;
      requests = tighter(requests, draw(usage, 'requests', limit.requests_per_minute, 1, nowMs));
      tokenAllowance = tighter(tokenAllowance, draw(usage, 'tokens', limit.tokens_per_minute, tokens, nowMs));
    }
    return { allowed: true, checked: true, requests, tokens: tokenAllowance };
  }

  settle({ limits, tokens, nowMs }: LimitRequest, usedTokens: number | null): void {
    const more = (usedTokens ?? 0) - tokens;
    for (const limit of limits) {
      const usage = this.#subjects.get(limit.subject)?.get(limit.id);
      if (usage === undefined) continue;
      usage.running -= 1;
      if (usedTokens === null && usage.requests !== null) usage.requests.level += 1;
      if (usage.tokens !== null) usage.tokens.level -= more;
      if (usage.day.period === dayOf(nowMs)) usage.day.used += more;
      if (usage.month.period === monthOf(nowMs)) usage.month.used += more;
    }
  }

  #refusal(limit: SubjectLimit, tokens: number, nowMs: number) {
    const usage = this.#of(limit.subject, limit.id, nowMs);
    const { concurrent_requests: concurrent, requests_per_minute: rpm, tokens_per_minute: tpm } = limit;
    if (concurrent !== null && usage.running >= concurrent) return refuse('concurrent_requests', concurrent, 1000);
    if (rpm !== null) {
      const lacking = 1 - refilled(usage.requests, rpm, nowMs);
      if (lacking > roundingError) return refuse('requests_per_minute', rpm, (lacking / rpm) * minuteMs);
    }
    if (tpm !== null) {
      // A request that is larger than the whole allowance may go when the bucket is full.
      const lacking = Math.min(tokens, tpm) - refilled(usage.tokens, tpm, nowMs);
      if (lacking > roundingError) return refuse('tokens_per_minute', tpm, (lacking / tpm) * minuteMs);
    }
    if (limit.tokens_per_day !== null && usage.day.used >= limit.tokens_per_day)
      return refuse('tokens_per_day', limit.tokens_per_day, untilNextDayMs(nowMs));
    if (limit.tokens_per_month !== null && usage.month.used >= limit.tokens_per_month)
      return refuse('tokens_per_month', limit.tokens_per_month, untilNextMonthMs(nowMs));
    return null;
  }

  #of(subject: LimitSubject, id: string, nowMs: number): Usage {
    const day = dayOf(nowMs);
    const month = monthOf(nowMs);
    let usage = this.#subjects.get(subject)?.get(id);
    if (usage === undefined) {
      usage = {
        requests: null,
        tokens: null,
        running: 0,
        day: { period: day, used: 0 },
        month: { period: month, used: 0 },
      };
      const known = this.#subjects.get(subject);
      if (known === undefined) this.#subjects.set(subject, new Map([[id, usage]]));
      else known.set(id, usage);
    }
    if (usage.day.period !== day) usage.day = { period: day, used: 0 };
    if (usage.month.period !== month) usage.month = { period: month, used: 0 };
    return usage;
  }
}

const refuse = (name: LimitName, limit: number, retryAfterMs: number) => ({ name, limit, retryAfterMs });

function refilled(bucket: Bucket | null, perMinute: number, nowMs: number): number {
  if (bucket === null) return perMinute;
  // A clock that was set back gives nothing and takes nothing.
  const passedMs = Math.max(0, nowMs - bucket.atMs);
  return Math.min(perMinute, bucket.level + (passedMs / minuteMs) * perMinute);
}

function draw(
  usage: Usage,
  which: 'requests' | 'tokens',
  perMinute: number | null,
  amount: number,
  nowMs: number,
): Allowance | null {
  if (perMinute === null) return null;
  const level = refilled(usage[which], perMinute, nowMs) - amount;
  const bucket = usage[which];
  if (bucket === null) usage[which] = { level, atMs: nowMs };
  else {
    bucket.level = level;
    bucket.atMs = nowMs;
  }
  return allowanceOf(perMinute, level);
}

export const allowanceOf = (perMinute: number, level: number): Allowance => ({
  limit: perMinute,
  remaining: Math.max(0, Math.floor(level)),
  resetMs: Math.ceil(((perMinute - level) / perMinute) * minuteMs),
});

/** Of two allowances the one that is used up first. */
export const tighter = (a: Allowance | null, b: Allowance | null): Allowance | null =>
  a === null || (b !== null && b.remaining < a.remaining) ? b : a;

export const untilNextDayMs = (nowMs: number): number => (dayOf(nowMs) + 1) * dayMs - nowMs;
export function untilNextMonthMs(nowMs: number): number {
  const now = new Date(nowMs);
  return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1) - nowMs;
}
