import { sql } from 'kysely';
import { type UsageFilter, usageOutcome } from '../../../contract/usage.ts';
import type { UsageBucket, UsageGroup } from '../../../contract/usage-analytics.ts';
import type { Executor } from './schema.ts';
import { barColumns, rollupTables } from './usage-rollup.ts';

/** Whole hours or days, and which requests of them. */
export interface RollupRange {
  readonly from: Date;
  readonly to: Date;
  readonly bucket: UsageBucket;
  readonly filter: Omit<UsageFilter, 'from' | 'to'>;
}

type Grouping = Exclude<UsageGroup, 'none'>;
const groupColumns = {
  model: 'served_name',
  key: 'key_id',
  user: 'user_id',
  organization: 'organization_id',
  endpoint: 'endpoint',
  outcome: 'outcome',
  replica: 'replica',
} as const satisfies Record<Grouping, string>;

const failed = sql<boolean>`rollup.outcome not in ('ok', 'client_gone')`;

function matching(db: Executor, { from, to, bucket, filter }: RollupRange) {
  // Both tables have the same columns.
  const table = rollupTables[bucket] as 'usage_hourly';
  let query = db.selectFrom(`${table} as rollup`).where('rollup.bucket', '>=', from).where('rollup.bucket', '<', to);
  if (filter.model !== undefined) query = query.where('rollup.served_name', '=', filter.model);
  for (const name of ['key_id', 'user_id', 'organization_id', 'endpoint', 'outcome', 'replica'] as const) {
    const value = filter[name];
    if (value !== undefined) query = query.where(`rollup.${name}`, '=', value);
  }
  return query;
}

export interface RankedGroup {
  readonly id: string;
  readonly requests: number;
  readonly errors: number;
  readonly tokens: number;
}

/** The groups with the most requests, largest first. */
export function largestGroups(
  db: Executor,
  range: RollupRange,
  group: Grouping,
  limit: number,
): Promise<RankedGroup[]> {
  const column = `rollup.${groupColumns[group]}` as const;
  return matching(db, range)
    .select((e) => [
      e.ref(column).as('id'),
      e.fn.sum<number>('rollup.requests').as('requests'),
      e.fn.coalesce(e.fn.sum<number>('rollup.requests').filterWhere(failed), e.lit(0)).as('errors'),
      sql<number>`sum(rollup.prompt_tokens + rollup.completion_tokens)`.as('tokens'),
    ])
    .groupBy(column)
    .orderBy('requests', 'desc')
    .orderBy('id')
    .limit(limit)
    .execute();
}

export interface SeriesPoint {
  readonly bucket: Date;
  /** Null for all groups that were not named. */
  readonly id: string | null;
  readonly requests: number;
  readonly errors: number;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly cached_tokens: number;
}

/** Sums of each hour or day for each of the groups that are named, and for the rest together. Empty ones are left out. */
export function seriesPoints(
  db: Executor,
  range: RollupRange,
  group: UsageGroup,
  named: readonly string[],
): Promise<SeriesPoint[]> {
  const id =
    group === 'none'
      ? sql<string | null>`null::text`
      : sql<
          string | null
        >`case when rollup.${sql.ref(groupColumns[group])} = any(${[...named]}::text[]) then rollup.${sql.ref(groupColumns[group])} end`;
  return matching(db, range)
    .select((e) => [
      'rollup.bucket',
      id.as('id'),
      e.fn.sum<number>('rollup.requests').as('requests'),
      e.fn.coalesce(e.fn.sum<number>('rollup.requests').filterWhere(failed), e.lit(0)).as('errors'),
      e.fn.sum<number>('rollup.prompt_tokens').as('prompt_tokens'),
      e.fn.sum<number>('rollup.completion_tokens').as('completion_tokens'),
      e.fn.sum<number>('rollup.cached_tokens').as('cached_tokens'),
    ])
    .groupBy(sql`1, 2`)
    .execute();
}

export interface RollupTotals {
  readonly requests: number;
  readonly errors: number;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly cached_tokens: number;
  readonly estimated: number;
  readonly queue_ms: number;
  readonly duration: readonly number[];
  readonly ttft: readonly number[];
}

/** Sums and histograms over the whole range. */
export async function rollupTotals(db: Executor, range: RollupRange): Promise<RollupTotals> {
  const sums = [
    'requests',
    'prompt_tokens',
    'completion_tokens',
    'cached_tokens',
    'estimated',
    'queue_ms',
    ...barColumns('duration'),
    ...barColumns('ttft'),
  ] as const;
  const row = await matching(db, range)
    .select((e) => [
      e.fn.coalesce(e.fn.sum<number>('rollup.requests').filterWhere(failed), e.lit(0)).as('errors'),
      ...sums.map((name) => e.fn.coalesce(e.fn.sum<number>(`rollup.${name}`), e.lit(0)).as(name)),
    ])
    .executeTakeFirstOrThrow();
  return {
    ...row,
    duration: barColumns('duration').map((bar) => row[bar]),
    ttft: barColumns('ttft').map((bar) => row[bar]),
  };
}

/** How many requests ended in which way, most first. */
export async function outcomeCounts(db: Executor, range: RollupRange) {
  const rows = await largestGroups(db, range, 'outcome', 100);
  return rows.map(({ id, requests }) => ({ outcome: usageOutcome.parse(id), requests }));
}

/** What people call the groups; an id that is its own name, or of something that is gone, is left out. */
export async function groupNames(
  db: Executor,
  group: UsageGroup,
  ids: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (ids.length === 0) return new Map();
  const rows = await namesQuery(db, group, ids);
  return new Map(rows.map(({ id, name }) => [id, name]));
}

function namesQuery(
  db: Executor,
  group: UsageGroup,
  ids: readonly string[],
): Promise<{ id: string; name: string }[]> | [] {
  if (group === 'key') return db.selectFrom('api_keys').select(['id', 'name']).where('id', 'in', ids).execute();
  if (group === 'user')
    return db.selectFrom('users').select(['id', 'username as name']).where('id', 'in', ids).execute();
  if (group === 'organization')
    return db.selectFrom('organizations').select(['id', 'name']).where('id', 'in', ids).execute();
  return [];
}
