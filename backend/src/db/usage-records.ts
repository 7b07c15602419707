import type { UsageRecord } from '../../../contract/usage.ts';
import { usageOutcome } from '../../../contract/usage.ts';
import type { Executor } from './schema.ts';

/** Writes a batch; a request that is there already is left alone, so a batch may be written again after a crash. */
export async function insertUsage(db: Executor, records: readonly UsageRecord[]): Promise<void> {
  if (records.length === 0) return;
  await db
    .insertInto('usage')
    .values([...records])
    .onConflict((conflict) => conflict.column('request_id').doNothing())
    .execute();
}

export interface UsageFilter {
  readonly limit: number;
  /** A served name. */
  readonly model?: string | undefined;
  readonly key_id?: string | undefined;
}

export type ListedUsage = UsageRecord & { key_name: string | null };

/** The newest requests, newest first. */
export async function listUsage(db: Executor, filter: UsageFilter): Promise<ListedUsage[]> {
  let query = db
    .selectFrom('usage')
    .leftJoin('api_keys', 'api_keys.id', 'usage.key_id')
    .selectAll('usage')
    .select('api_keys.name as key_name')
    .orderBy('usage.at', 'desc')
    .limit(filter.limit);
  if (filter.model !== undefined) query = query.where('usage.served_name', '=', filter.model);
  if (filter.key_id !== undefined) query = query.where('usage.key_id', '=', filter.key_id);
  const rows = await query.execute();
  return rows.map((row) => ({ ...row, at: row.at.toISOString(), outcome: usageOutcome.parse(row.outcome) }));
}

export interface UsageTotals {
  readonly requests: number;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
}

/** Sums over all requests that match, not only those that a list shows. */
export async function totalUsage(db: Executor, filter: Omit<UsageFilter, 'limit'>): Promise<UsageTotals> {
  let query = db
    .selectFrom('usage')
    .select((e) => [
      e.fn.countAll<number>().as('requests'),
      e.fn.coalesce(e.fn.sum<number>('prompt_tokens'), e.lit(0)).as('prompt_tokens'),
      e.fn.coalesce(e.fn.sum<number>('completion_tokens'), e.lit(0)).as('completion_tokens'),
    ]);
  if (filter.model !== undefined) query = query.where('served_name', '=', filter.model);
  if (filter.key_id !== undefined) query = query.where('key_id', '=', filter.key_id);
  return query.executeTakeFirstOrThrow();
}
