import { sql } from 'kysely';
import { CortexError } from '../../../contract/errors.ts';
import { type ListedUsage, type UsageFilter, type UsageRecord, usageOutcome } from '../../../contract/usage.ts';
import { isDataFault } from './open.ts';
import type { Executor } from './schema.ts';
import { addToRollup } from './usage-rollup.ts';

const columnTypes: Readonly<Record<keyof UsageRecord, string>> = {
  request_id: 'text',
  at: 'timestamptz',
  key_id: 'text',
  user_id: 'text',
  organization_id: 'text',
  model_id: 'text',
  served_name: 'text',
  requested_name: 'text',
  replica: 'text',
  endpoint: 'text',
  streamed: 'boolean',
  status: 'integer',
  outcome: 'text',
  prompt_tokens: 'bigint',
  completion_tokens: 'bigint',
  cached_tokens: 'bigint',
  estimated: 'boolean',
  duration_ms: 'double precision',
  queue_ms: 'double precision',
  first_byte_ms: 'double precision',
  cause: 'text',
};
const columns = Object.keys(columnTypes).join(', ');
const columnsWithTypes = Object.entries(columnTypes)
  .map(([name, type]) => `${name} ${type}`)
  .join(', ');

/**
 * Writes a batch and adds it to the roll-ups, all or nothing. A request that is there already is left alone and not
 * added again, so a batch may be written again after a crash. One from before the horizon is left out: it can't be told
 * any more whether it was there. Rows are written in the order of their keys, so that two processes never wait crosswise.
 */
export async function insertUsage(db: Executor, records: readonly UsageRecord[]): Promise<void> {
  if (records.length > 0) await insertJson(db, JSON.stringify(records, storable));
}

/**
 * The same for a JSON array of them, in UTF-8. False where they are no records as they are: one is damaged, from a version
 * that had fewer fields, or holds what Postgres can't.
 */
export async function insertUsageJson(db: Executor, records: Buffer): Promise<boolean> {
  try {
    await insertJson(db, records);
    return true;
  } catch (error) {
    if (isDataFault(error)) return false;
    throw error;
  }
}

/** @param records bytes go to Postgres as they are */
async function insertJson(db: Executor, records: string | Buffer): Promise<void> {
  await sql`
    with horizon as (select kept_since from usage_horizon for share),
    inserted as (
      insert into usage (${sql.raw(columns)})
      select ${sql.raw(columns)} from json_to_recordset(${records}::text::json) as given(${sql.raw(columnsWithTypes)})
      where at >= coalesce((select kept_since from horizon), '-infinity')
      order by request_id
      on conflict (request_id) do nothing
      returning *
    ),
    hourly as (${addToRollup('hour', 'inserted')})
    ${addToRollup('day', 'inserted')}`.execute(db);
}

/** Clients name models, and what Postgres can't hold in a text would stop this batch and all behind it. */
const storable = (_key: string, value: unknown): unknown =>
  typeof value === 'string' ? value.replaceAll('\u0000', '\uFFFD').replace(/\p{Surrogate}/gu, '\uFFFD') : value;

export interface UsagePage {
  readonly records: ListedUsage[];
  readonly next_cursor: string | null;
}

/**
 * A page of single requests, newest first. What comes in meanwhile is before the first page and moves nothing.
 * @throws CortexError invalid_request for a cursor that is not from here
 */
export async function listUsage(
  db: Executor,
  filter: UsageFilter & { limit: number; cursor?: string | undefined },
): Promise<UsagePage> {
  let query = db
    .selectFrom('usage')
    .leftJoin('api_keys', 'api_keys.id', 'usage.key_id')
    .selectAll('usage')
    .select('api_keys.name as key_name')
    .orderBy('usage.at', 'desc')
    .orderBy('usage.request_id', 'desc')
    .limit(filter.limit + 1);
  if (filter.model !== undefined) query = query.where('usage.served_name', '=', filter.model);
  if (filter.from !== undefined) query = query.where('usage.at', '>=', new Date(filter.from));
  if (filter.to !== undefined) query = query.where('usage.at', '<', new Date(filter.to));
  for (const name of ['key_id', 'user_id', 'organization_id', 'endpoint', 'outcome', 'replica'] as const) {
    const value = filter[name];
    if (value !== undefined) query = query.where(`usage.${name}`, '=', value);
  }
  // Said in words, so that the index that leaves the good ones out is found whatever the value is.
  if (filter.outcome !== undefined && filter.outcome !== 'ok') query = query.where(sql<boolean>`usage.outcome <> 'ok'`);
  if (filter.cursor !== undefined) {
    const { at, requestId } = readCursor(filter.cursor);
    query = query.where(sql<boolean>`(usage.at, usage.request_id) < (${at}::timestamptz, ${requestId})`);
  }
  const rows = await query.execute();
  const records = rows
    .slice(0, filter.limit)
    .map((row) => ({ ...row, at: row.at.toISOString(), outcome: usageOutcome.parse(row.outcome) }));
  const last = records.at(-1);
  return { records, next_cursor: rows.length > filter.limit && last ? cursorOf(last) : null };
}

const cursorOf = ({ at, request_id }: UsageRecord): string =>
  Buffer.from(JSON.stringify([at, request_id])).toString('base64url');

function readCursor(cursor: string): { at: string; requestId: string } {
  try {
    const [at, requestId] = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as unknown[];
    if (typeof at === 'string' && /^\d{4}-/.test(at) && typeof requestId === 'string' && !requestId.includes('\u0000'))
      return { at: new Date(at).toISOString(), requestId };
  } catch {
    // Told below.
  }
  throw new CortexError('invalid_request', { detail: 'cursor is not one that this route gave' }, { param: 'cursor' });
}
