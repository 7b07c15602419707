import { type RawBuilder, sql } from 'kysely';
import { histogramBoundsMs } from '../../../contract/usage-analytics.ts';

/** The roll-ups by the length of what a row sums up. */
export const rollupTables = { hour: 'usage_hourly', day: 'usage_daily' } as const;

/** Names of a histogram's columns, shortest first. */
export const barColumns = <const N extends 'duration' | 'ttft'>(name: N) =>
  ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13] as const).map((bar) => `${name}_h${bar}` as const);

const keyColumns = {
  bucket: null,
  served_name: 'served_name',
  key_id: `coalesce(key_id, '')`,
  user_id: `coalesce(user_id, '')`,
  organization_id: `coalesce(organization_id, '')`,
  endpoint: 'endpoint',
  outcome: 'outcome',
  replica: `coalesce(replica, '')`,
};

const measures: Readonly<Record<string, string>> = {
  requests: 'count(*)',
  estimated: 'count(*) filter (where estimated)',
  prompt_tokens: 'sum(prompt_tokens)',
  completion_tokens: 'sum(completion_tokens)',
  cached_tokens: 'sum(cached_tokens)',
  duration_ms: 'sum(duration_ms)',
  queue_ms: 'sum(queue_ms)',
  ttft_ms: 'coalesce(sum(first_byte_ms) filter (where streamed), 0)',
  ttft_count: 'count(first_byte_ms) filter (where streamed)',
  ...histogram('duration', 'duration_ms', ''),
  ...histogram('ttft', 'first_byte_ms', ' and streamed'),
};

function histogram(name: 'duration' | 'ttft', column: string, more: string): Record<string, string> {
  return Object.fromEntries(
    barColumns(name).map((bar, index) => {
      const from = histogramBoundsMs[index - 1];
      const to = histogramBoundsMs[index];
      const within = [from === undefined ? [] : `${column} >= ${from}`, to === undefined ? [] : `${column} < ${to}`];
      return [bar, `count(*) filter (where ${within.flat().join(' and ')}${more})`];
    }),
  );
}

/**
 * The statement that adds the rows of `source` to a roll-up. In the order of the key, so that two processes which add to
 * the same rows wait for one another and never crosswise.
 */
export function addToRollup(unit: keyof typeof rollupTables, source: string): RawBuilder<unknown> {
  const table = rollupTables[unit];
  const keys = Object.keys(keyColumns);
  const keyValues = Object.values(keyColumns).map((value) => value ?? `date_trunc('${unit}', at, 'UTC')`);
  const positions = keys.map((_, index) => index + 1).join(', ');
  const added = Object.keys(measures).map((name) => `${name} = ${table}.${name} + excluded.${name}`);
  return sql.raw(`insert into ${table} (${[...keys, ...Object.keys(measures), 'last_at'].join(', ')})
    select ${[...keyValues, ...Object.values(measures), 'max(at)'].join(', ')} from ${source}
    group by ${positions} order by ${positions}
    on conflict (${keys.join(', ')}) do update set ${added.join(', ')},
      last_at = greatest(${table}.last_at, excluded.last_at)`);
}
