import type { UsageRecord } from '../../../contract/usage.ts';
import type { RoutingTable } from '../routing/table.ts';
import type { Timing } from './timing.ts';

/** Upper bounds in seconds. */
export const requestBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
export const tokenBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
export const overheadBounds = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25];

/** How many values fell under each bound and over the one before it, the last number those over all; and their sum. */
export interface Spread {
  readonly counts: number[];
  sum: number;
}

/** What requests have come to that were alike: plain numbers, so that it can go from one process to another. */
export interface RequestSeries {
  /** A served name of the routing table, or `unknown`. */
  readonly model: string;
  readonly modelId: string | null;
  readonly endpoint: string;
  readonly outcome: UsageRecord['outcome'];
  readonly status: number;
  readonly cause: string | null;
  requests: number;
  promptTokens: number;
  completionTokens: number;
  cachedTokens: number;
  /** These are of requests alone for which a model was found. */
  readonly duration: Spread;
  readonly queue: Spread;
  readonly overhead: Spread;
  /** And these of streams that began. */
  readonly firstToken: Spread;
  readonly perToken: Spread;
}

/**
 * Adds up what requests come to, since every one passes here: some additions, where a metrics library finds each of its
 * series by its labels anew (7 % of what a request cost).
 */
export class RequestTally {
  readonly #table: Pick<RoutingTable, 'model'>;
  #series = new Map<string, RequestSeries>();
  #last: RequestSeries | null = null;

  constructor(table: Pick<RoutingTable, 'model'>) {
    this.#table = table;
  }

  add(record: UsageRecord, { overheadMs }: Timing): void {
    const series = this.#of(record);
    series.requests += 1;
    if (record.model_id === null) return;
    series.promptTokens += record.prompt_tokens;
    series.completionTokens += record.completion_tokens;
    series.cachedTokens += record.cached_tokens;
    put(series.duration, requestBounds, record.duration_ms / 1000);
    put(series.queue, requestBounds, record.queue_ms / 1000);
    put(series.overhead, overheadBounds, overheadMs / 1000);
    if (!record.streamed || record.first_byte_ms === null) return;
    put(series.firstToken, requestBounds, record.first_byte_ms / 1000);
    const others = record.completion_tokens - 1;
    if (others > 0) put(series.perToken, tokenBounds, (record.duration_ms - record.first_byte_ms) / 1000 / others);
  }

  /** What was added since the last time. */
  drain(): readonly RequestSeries[] {
    const drained = [...this.#series.values()];
    this.#series = new Map();
    this.#last = null;
    return drained;
  }

  #of(record: UsageRecord): RequestSeries {
    const { model_id: modelId, endpoint, outcome, status, cause, served_name: name } = record;
    const last = this.#last;
    if (
      last !== null &&
      last.model === name &&
      last.modelId === modelId &&
      last.endpoint === endpoint &&
      last.outcome === outcome &&
      last.status === status &&
      last.cause === cause
    )
      return last;
    // Clients choose what they ask for; only names that exist become a series.
    const model = this.#table.model(name) === undefined ? 'unknown' : name;
    const key = [model, modelId, endpoint, outcome, status, cause].join('\n');
    const known = this.#series.get(key) ?? {
      ...{ model, modelId, endpoint, outcome, status, cause },
      ...{ requests: 0, promptTokens: 0, completionTokens: 0, cachedTokens: 0 },
      duration: newSpread(requestBounds),
      queue: newSpread(requestBounds),
      overhead: newSpread(overheadBounds),
      firstToken: newSpread(requestBounds),
      perToken: newSpread(tokenBounds),
    };
    this.#series.set(key, known);
    this.#last = known;
    return known;
  }
}

const newSpread = (bounds: readonly number[]): Spread => ({ counts: [...bounds, 0].map(() => 0), sum: 0 });

function put(spread: Spread, bounds: readonly number[], value: number): void {
  let at = 0;
  while (at < bounds.length && value > (bounds[at] ?? 0)) at += 1;
  spread.counts[at] = (spread.counts[at] ?? 0) + 1;
  spread.sum += value;
}

/** Adds a spread to another one of the same bounds. */
export function addSpread(to: Spread, more: Spread): void {
  for (const [at, count] of more.counts.entries()) to.counts[at] = (to.counts[at] ?? 0) + count;
  to.sum += more.sum;
}
