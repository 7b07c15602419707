import { sql } from 'kysely';
import type { Executor } from './schema.ts';

/**
 * From now on single requests before `before` are not taken any more. Must be done before they are deleted: a journal
 * that is read again after a crash may still hold some, and they would be counted twice.
 */
export async function raiseUsageHorizon(db: Executor, before: Date): Promise<void> {
  await db.updateTable('usage_horizon').set({ kept_since: before }).where('kept_since', '<', before).execute();
}

/** Deletes up to `limit` of the oldest single requests before `before`. @returns how many were deleted */
export function deleteUsageBefore(db: Executor, before: Date, limit: number): Promise<number> {
  return deleteOldest(db, 'usage', 'at', before, limit);
}

/** Deletes up to `limit` of the oldest hours before `before`; the days stay. @returns how many rows were deleted */
export function deleteHoursBefore(db: Executor, before: Date, limit: number): Promise<number> {
  return deleteOldest(db, 'usage_hourly', 'bucket', before, limit);
}

async function deleteOldest(
  db: Executor,
  table: 'usage' | 'usage_hourly',
  time: 'at' | 'bucket',
  before: Date,
  limit: number,
): Promise<number> {
  // By their place in the table, which needs no second look-up; what another process is deleting is passed over.
  const { numAffectedRows } = await sql`
    delete from ${sql.table(table)} where ctid = any(array(
      select ctid from ${sql.table(table)} where ${sql.ref(time)} < ${before}
      order by ${sql.ref(time)} limit ${limit} for update skip locked
    ))`.execute(db);
  return Number(numAffectedRows ?? 0n);
}
