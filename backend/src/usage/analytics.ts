import type { UsageFilter, UsageRecord } from '../../../contract/usage.ts';
import {
  type AnalyticsQuery,
  histogramBoundsMs,
  type UsageBucket,
  type UsageGroup,
  type UsageSeries,
  type UsageSummary,
} from '../../../contract/usage-analytics.ts';
import { percentile } from './percentile.ts';
import { type BucketRange, bucketMs, bucketRange } from './range.ts';

type Group = Exclude<UsageGroup, 'none'>;
type Range = BucketRange & { readonly filter: Omit<UsageFilter, 'from' | 'to'> };
interface Ranked {
  readonly id: string;
  readonly requests: number;
  readonly errors: number;
  readonly tokens: number;
}
interface Sums {
  readonly requests: number;
  readonly errors: number;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly cached_tokens: number;
}

/** What analytics asks of the roll-ups; db/usage-series.ts answers. */
export interface RollupReader {
  largestGroups(range: Range, group: Group, limit: number): Promise<Ranked[]>;
  /** Without the hours or days that had no request; the id is null for groups that are not named. */
  seriesPoints(
    range: Range,
    group: UsageGroup,
    named: readonly string[],
  ): Promise<(Sums & { readonly bucket: Date; readonly id: string | null })[]>;
  totals(
    range: Range,
  ): Promise<Sums & { estimated: number; queue_ms: number; duration: readonly number[]; ttft: readonly number[] }>;
  outcomes(range: Range): Promise<{ outcome: UsageRecord['outcome']; requests: number }[]>;
  names(group: UsageGroup, ids: readonly string[]): Promise<ReadonlyMap<string, string>>;
}

const seriesGroups = 8;
const rankedGroups = 10;
const measures = ['requests', 'errors', 'prompt_tokens', 'completion_tokens', 'cached_tokens'] as const;

/** Answers from the roll-ups: how long that takes depends on the length of the range, not on how many requests there were. */
export class UsageAnalytics {
  readonly #reader: RollupReader;
  readonly #hourlyRetentionDays: number;

  constructor(reader: RollupReader, hourlyRetentionDays: number) {
    this.#reader = reader;
    this.#hourlyRetentionDays = hourlyRetentionDays;
  }

  /** Requests and tokens over time, zero where there were none. @throws CortexError invalid_request */
  async series({ group, ...query }: AnalyticsQuery & { group: UsageGroup }): Promise<UsageSeries> {
    const range = this.#range(query);
    const ids =
      group === 'none' ? [] : (await this.#reader.largestGroups(range, group, seriesGroups)).map(({ id }) => id);
    const [points, names] = await Promise.all([
      this.#reader.seriesPoints(range, group, ids),
      this.#reader.names(group, ids),
    ]);
    const times = timesOf(range);
    const empty = () => Object.fromEntries(measures.map((measure) => [measure, times.map(() => 0)])) as Columns;
    const columns = new Map<string | null, Columns>(ids.map((id) => [id, empty()]));
    if (group === 'none') columns.set(null, empty());
    for (const point of points) {
      const place = (point.bucket.getTime() - range.from.getTime()) / bucketMs[range.bucket];
      const column = columns.get(point.id) ?? empty();
      columns.set(point.id, column);
      for (const measure of measures) column[measure][place] = point[measure];
    }
    return {
      ...described(range),
      group,
      times,
      series: [...columns].map(([id, column]) => ({
        id,
        name: id === null ? (group === 'none' ? 'all' : 'others') : nameOf(id, names),
        ...column,
      })),
    };
  }

  /** Totals, percentiles and the largest models and keys. @throws CortexError invalid_request */
  async summary(query: AnalyticsQuery): Promise<UsageSummary> {
    const range = this.#range(query);
    const [totals, outcomes, models, keys] = await Promise.all([
      this.#reader.totals(range),
      this.#reader.outcomes(range),
      this.#reader.largestGroups(range, 'model', rankedGroups),
      this.#reader.largestGroups(range, 'key', rankedGroups),
    ]);
    const keyNames = await this.#reader.names(
      'key',
      keys.map(({ id }) => id),
    );
    const { requests, errors, duration, ttft } = totals;
    return {
      ...described(range),
      totals: {
        requests,
        errors,
        error_share: requests === 0 ? 0 : errors / requests,
        prompt_tokens: totals.prompt_tokens,
        completion_tokens: totals.completion_tokens,
        cached_tokens: totals.cached_tokens,
        estimated: totals.estimated,
        ttft_p50_ms: percentile(ttft, histogramBoundsMs, 0.5),
        ttft_p95_ms: percentile(ttft, histogramBoundsMs, 0.95),
        duration_p50_ms: percentile(duration, histogramBoundsMs, 0.5),
        duration_p95_ms: percentile(duration, histogramBoundsMs, 0.95),
        queue_mean_ms: requests === 0 ? null : totals.queue_ms / requests,
      },
      outcomes,
      models: models.map((model) => ({ ...model, name: nameOf(model.id, new Map()) })),
      keys: keys.map((key) => ({ ...key, name: nameOf(key.id, keyNames) })),
    };
  }

  #range({ from, to, bucket, ...filter }: AnalyticsQuery): Range {
    return { ...bucketRange({ from, to, bucket }, this.#hourlyRetentionDays), filter };
  }
}

type Columns = Record<(typeof measures)[number], number[]>;

const nameOf = (id: string, names: ReadonlyMap<string, string>): string => names.get(id) ?? (id === '' ? 'none' : id);

const described = ({ from, to, bucket }: Range): { from: string; to: string; bucket: UsageBucket } => ({
  from: from.toISOString(),
  to: to.toISOString(),
  bucket,
});

function timesOf({ from, to, bucket }: Range): string[] {
  const count = (to.getTime() - from.getTime()) / bucketMs[bucket];
  return Array.from({ length: count }, (_, place) => new Date(from.getTime() + place * bucketMs[bucket]).toISOString());
}
