import { z } from 'zod';
import { type GpuShare, type MemoryReport, memoryFigures } from '../../../contract/memory.ts';
import type { Executor } from './schema.ts';

const row = z.object({
  at: z.date().transform((date) => date.toISOString()),
  planned: memoryFigures.nullable(),
  reported: memoryFigures,
});

/** What the engine said when the model last became ready. */
export async function findMemoryReport(db: Executor, modelId: string): Promise<MemoryReport | null> {
  const stored = await db
    .selectFrom('memory_reports')
    .select(['at', 'planned', 'reported'])
    .where('model_id', '=', modelId)
    .executeTakeFirst();
  return stored ? row.parse(stored) : null;
}

/** Keeps the last report of each model. Does nothing where the model is gone. */
export async function putMemoryReport(db: Executor, modelId: string, report: MemoryReport): Promise<void> {
  const values = {
    at: report.at,
    planned: report.planned === null ? null : JSON.stringify(report.planned),
    reported: JSON.stringify(report.reported),
  };
  const there = await db.selectFrom('models').select('id').where('id', '=', modelId).executeTakeFirst();
  if (there === undefined) return;
  await db
    .insertInto('memory_reports')
    .values({ model_id: modelId, ...values })
    .onConflict((conflict) => conflict.column('model_id').doUpdateSet(values))
    .execute();
}

/** Writes down the GPUs of a model's next start; null where nobody knows which there are. */
export async function setModelGpus(db: Executor, modelId: string, gpus: readonly GpuShare[] | null): Promise<void> {
  await db
    .updateTable('models')
    .set({ gpus: gpus === null ? null : JSON.stringify(gpus) })
    .where('id', '=', modelId)
    .execute();
}
