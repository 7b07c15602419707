import { createClient, defineScript } from '@redis/client';
import { CortexError } from '../../../contract/errors.ts';
import type { LimitSubject, SubjectLimit } from '../../../contract/routing.ts';
import {
  type Allowance,
  allowanceOf,
  type LimitAnswer,
  type LimitName,
  type LimitRequest,
  type LimitStore,
  minuteMs,
  tighter,
  untilNextDayMs,
  untilNextMonthMs,
} from './limits.ts';
import { renewScript, seedScript, settleScript, takeScript } from './redis-limit-scripts.ts';

export interface RedisLimitsOptions {
  /** With its password. */
  readonly url: string;
  /** What happens to requests while Redis does not answer. */
  readonly whileAway: 'refuse' | 'allow';
  readonly logger: { warn(details: object, message: string): void; info(details: object, message: string): void };
  /** How long a request counts as running after the gateway that carries it was heard of last. */
  readonly leaseMs?: number;
}

const script = (lua: string) =>
  defineScript({
    SCRIPT: lua,
    parseCommand(parser, keys: readonly string[], values: readonly string[]) {
      parser.pushKeysLength([...keys]);
      parser.push(...values);
    },
    transformReply: (reply: unknown) => reply,
    IS_READ_ONLY: false,
  });

const connect = (url: string) =>
  createClient({
    url,
    // While there is no connection a request must hear it at once.
    disableOfflineQueue: true,
    commandsQueueMaxLength: 10_000,
    // A peer that is gone without a word is found by the ping that it does not answer.
    pingInterval: 3000,
    socket: {
      connectTimeout: 3000,
      socketTimeout: 10_000,
      reconnectStrategy: (tries) => Math.min(100 * 2 ** tries, 3000),
    },
    scripts: {
      take: script(takeScript),
      settle: script(settleScript),
      seed: script(seedScript),
      renew: script(renewScript),
    },
  });

/** A request that runs: what settles it. */
interface Running {
  readonly requestId: string;
  readonly keys: readonly string[];
  /** Sorted sets in which it counts. */
  readonly counted: readonly string[];
  readonly takenAtMs: number;
}

const answerMs = 1000;
const defaultLeaseMs = 60_000;

/** Limits that several gateways share. What one takes is taken at once and whole, by a script that Redis runs alone. */
export class RedisLimits implements LimitStore {
  readonly #options: RedisLimitsOptions;
  readonly #client: ReturnType<typeof connect>;
  readonly #leaseMs: number;
  /** By slot. No Map: see gateway/time-limits. */
  readonly #running: (Running | null)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #renewing: NodeJS.Timeout;
  #available = true;

  constructor(options: RedisLimitsOptions) {
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? defaultLeaseMs;
    this.#client = connect(options.url);
    this.#client.on('error', (error: unknown) => this.#away(error));
    // Known to Redis before they are needed: one that it has to be told first would run behind what was asked after it.
    this.#client.on('ready', () => {
      const loading = [takeScript, settleScript, seedScript, renewScript].map((lua) => this.#client.scriptLoad(lua));
      inTime(Promise.all(loading)).then(
        () => this.#back(),
        (error: unknown) => this.#away(error),
      );
    });
    this.#client.connect().catch((error: unknown) => this.#away(error));
    this.#renewing = setInterval(() => this.#renew(), this.#leaseMs / 3).unref();
  }

  get available(): boolean {
    return this.#available;
  }

  async take(request: LimitRequest): Promise<LimitAnswer> {
    const { requestId, limits, tokens } = request;
    const keys = limits.flatMap(({ subject, id }) => keysOf(subject, id));
    const values = [requestId, tokens, this.#leaseMs, ...limits.flatMap(limitValues)].map(String);
    let reply: unknown;
    try {
      reply = await inTime(this.#client.take(keys, values));
    } catch (error) {
      this.#away(error);
      if (this.#options.whileAway === 'allow') return { allowed: true, checked: false, requests: null, tokens: null };
      throw new CortexError('limits_unavailable', {}, { retryAfterSeconds: 1, cause: error });
    }
    this.#back();
    const [verdict, ...rest] = textsOf(reply);
    if (verdict === '0') return refusalOf(limits, rest);
    const takenAtMs = Number(rest.at(-1));
    const counted = limits
      .filter((limit) => limit.concurrent_requests !== null)
      .flatMap(({ subject, id }) => keysOf(subject, id)[1]);
    const slot = this.#freeSlots.pop() ?? this.#running.length;
    this.#running[slot] = { requestId, keys, counted, takenAtMs };
    request.slot = slot;
    return allowanceOfAll(limits, rest);
  }

  settle({ requestId, tokens, slot = -1 }: LimitRequest, usedTokens: number | null): void {
    const running = this.#running[slot] ?? null;
    if (running?.requestId !== requestId) return;
    this.#running[slot] = null;
    this.#freeSlots.push(slot);
    const returned = usedTokens === null ? 1 : 0;
    const values = [requestId, (usedTokens ?? 0) - tokens, running.takenAtMs, returned].map(String);
    // Unsettled, the estimate stands for the true count, and the lease ends by itself.
    inTime(this.#client.settle(running.keys, values)).catch((error: unknown) => this.#away(error));
  }

  async seed(subject: LimitSubject, id: string, spent: { day: number; month: number }): Promise<void> {
    const values = [String(spent.day), String(spent.month)];
    await inTime(this.#client.seed(keysOf(subject, id).slice(0, 1), values)).catch((error: unknown) =>
      this.#away(error),
    );
  }

  close(): void {
    clearInterval(this.#renewing);
    this.#client.destroy();
  }

  #renew(): void {
    for (const running of this.#running) {
      if (running === null || running.counted.length === 0) continue;
      inTime(this.#client.renew(running.counted, [running.requestId, String(this.#leaseMs)])).catch((error: unknown) =>
        this.#away(error),
      );
    }
  }

  #away(error: unknown): void {
    if (!this.#available) return;
    this.#available = false;
    const { whileAway, logger } = this.#options;
    const what = whileAway === 'allow' ? 'go on without limits' : 'are refused';
    logger.warn({ err: error }, `Redis does not answer: requests that have limits ${what}`);
  }

  #back(): void {
    if (this.#available) return;
    this.#available = true;
    this.#options.logger.info({}, 'Redis answers again: limits are checked');
  }
}

/** In one slot of a cluster, as a script may touch no other. */
const keysOf = (subject: LimitSubject, id: string): [string, string] => [
  `{cortex:limits}:${subject}:${id}`,
  `{cortex:limits}:${subject}:${id}:running`,
];

const limitValues = (limit: SubjectLimit): number[] =>
  [
    limit.concurrent_requests,
    limit.requests_per_minute,
    limit.tokens_per_minute,
    limit.tokens_per_day,
    limit.tokens_per_month,
  ].map((value) => value ?? -1);

function allowanceOfAll(limits: readonly SubjectLimit[], levels: readonly string[]): LimitAnswer {
  let requests: Allowance | null = null;
  let tokens: Allowance | null = null;
  const allowance = (perMinute: number | null, level: string | undefined) =>
    perMinute === null ? null : allowanceOf(perMinute, Number(level));
  for (const [at, limit] of limits.entries()) {
    requests = tighter(requests, allowance(limit.requests_per_minute, levels[at * 2]));
    tokens = tighter(tokens, allowance(limit.tokens_per_minute, levels[at * 2 + 1]));
  }
  return { allowed: true, checked: true, requests, tokens };
}

const limitNames: readonly string[] = [
  'concurrent_requests',
  'requests_per_minute',
  'tokens_per_minute',
  'tokens_per_day',
  'tokens_per_month',
] satisfies LimitName[];
const isLimitName = (name: string): name is LimitName => limitNames.includes(name);

function refusalOf(limits: readonly SubjectLimit[], [at, name = '', lacks, now]: readonly string[]): LimitAnswer {
  const refusing = limits[Number(at) - 1];
  if (refusing === undefined || !isLimitName(name))
    throw new Error(`Redis refused for a limit that was not asked: ${name}`);
  const limit = refusing[name] ?? 0;
  const nowMs = Number(now);
  const retryAfterMs = {
    concurrent_requests: 1000,
    requests_per_minute: (Number(lacks) / limit) * minuteMs,
    tokens_per_minute: (Number(lacks) / limit) * minuteMs,
    tokens_per_day: untilNextDayMs(nowMs),
    tokens_per_month: untilNextMonthMs(nowMs),
  }[name];
  return { allowed: false, subject: refusing.subject, name, limit, retryAfterMs };
}

function textsOf(reply: unknown): string[] {
  if (Array.isArray(reply) && reply.every((part) => typeof part === 'string')) return reply;
  throw new Error('Redis answered a script with something else than texts');
}

/** A Redis that hangs must not hold the request. */
async function inTime<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${answerMs} ms`)), answerMs);
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}
