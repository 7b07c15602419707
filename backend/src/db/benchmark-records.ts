import { z } from 'zod';
import { type Benchmark, benchmark, keptBenchmarks } from '../../../contract/benchmarks.ts';
import { newId } from './ids.ts';
import type { Executor } from './schema.ts';

const row = benchmark.omit({ progress: true }).extend({ started_at: z.date(), ended_at: z.date().nullable() });
/** A benchmark as it is kept; of one that runs, its complete steps. */
export type BenchmarkRecord = z.output<typeof row>;
type Fresh = Pick<BenchmarkRecord, 'model_id' | 'username' | 'settings' | 'subject'>;

/** Newest first. */
export async function listBenchmarks(db: Executor, modelId: string): Promise<BenchmarkRecord[]> {
  const rows = await db
    .selectFrom('benchmarks')
    .selectAll()
    .where('model_id', '=', modelId)
    .orderBy('started_at', 'desc')
    .limit(keptBenchmarks)
    .execute();
  return rows.map((stored) => row.parse(stored));
}

export async function findBenchmark(db: Executor, id: string): Promise<BenchmarkRecord | null> {
  const stored = await db.selectFrom('benchmarks').selectAll().where('id', '=', id).executeTakeFirst();
  return stored === undefined ? null : row.parse(stored);
}

/** Deletes those of its model that are too old to be kept. */
export async function insertBenchmark(db: Executor, { settings, subject, ...fresh }: Fresh): Promise<BenchmarkRecord> {
  const stored = await db
    .insertInto('benchmarks')
    .values({
      ...fresh,
      ...{ id: newId('bmk'), state: 'running', started_at: new Date(), ended_at: null, error: null },
      ...{ settings: JSON.stringify(settings), subject: JSON.stringify(subject), steps: '[]' },
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  const kept = db
    .selectFrom('benchmarks')
    .select('id')
    .where('model_id', '=', fresh.model_id)
    .orderBy('started_at', 'desc')
    .limit(keptBenchmarks);
  await db.deleteFrom('benchmarks').where('model_id', '=', fresh.model_id).where('id', 'not in', kept).execute();
  return row.parse(stored);
}

/** Does nothing where it was deleted. */
export async function updateBenchmark(
  db: Executor,
  { id, state, error, ended_at, steps }: Pick<BenchmarkRecord, 'id' | 'state' | 'error' | 'ended_at' | 'steps'>,
): Promise<void> {
  const told = { error: error === null ? null : JSON.stringify(error), steps: JSON.stringify(steps) };
  await db
    .updateTable('benchmarks')
    .set({ state, ended_at, ...told })
    .where('id', '=', id)
    .execute();
}

/** Those that an earlier process left as running: nobody measures them any more. */
export async function interruptBenchmarks(db: Executor, error: NonNullable<Benchmark['error']>): Promise<void> {
  await db
    .updateTable('benchmarks')
    .set({ state: 'interrupted', ended_at: new Date(), error: JSON.stringify(error) })
    .where('state', '=', 'running')
    .execute();
}

export async function deleteBenchmark(db: Executor, id: string): Promise<void> {
  await db.deleteFrom('benchmarks').where('id', '=', id).execute();
}
