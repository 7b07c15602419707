import { z } from 'zod';
import { llamacppOptions, vllmOptions } from '../../../contract/engine-options/schema.ts';
import { CortexError } from '../../../contract/errors.ts';
import { type GpuShare, gpuShare } from '../../../contract/memory.ts';
import { engine, type NewModel, task } from '../../../contract/models.ts';
import { newId } from './ids.ts';
import { isUniqueViolation } from './open.ts';
import type { Executor } from './schema.ts';

export const wanted = z.enum(['running', 'stopped']);
export type Wanted = z.infer<typeof wanted>;

/** What the operator wants of a model. What it is doing is never stored: it is observed. */
export type ModelRecord = NewModel & {
  readonly id: string;
  readonly wanted: Wanted;
  readonly createdAt: string;
  readonly version: number;
  /** What it was given at its last start; absent where nobody knew which GPUs there are, and it gets all. */
  readonly gpus?: readonly GpuShare[];
};

const base = z.object({
  id: z.string(),
  name: z.string(),
  served_name: z.string(),
  task,
  folder: z.string(),
  wanted,
  created_at: z.date().transform((date) => date.toISOString()),
  version: z.number(),
  replicas: z.number(),
  gpus: z.array(gpuShare).nullable(),
});
const row = z
  .discriminatedUnion('engine', [
    base.extend({ engine: z.literal(engine.enum.llamacpp), file: z.string(), options: llamacppOptions }),
    base.extend({ engine: z.literal(engine.enum.vllm), file: z.null(), options: vllmOptions }),
  ])
  .transform(
    ({ created_at, gpus, ...model }): ModelRecord => ({
      ...model,
      createdAt: created_at,
      ...(gpus === null ? {} : { gpus }),
    }),
  );

/** Checks a row of the database. */
export const modelOf = (stored: unknown): ModelRecord => row.parse(stored);

/** All models, oldest first. */
export async function listModels(db: Executor): Promise<ModelRecord[]> {
  const rows = await db.selectFrom('models').selectAll().orderBy('created_at').orderBy('id').execute();
  return rows.map(modelOf);
}

export async function findModel(db: Executor, id: string): Promise<ModelRecord | null> {
  const stored = await db.selectFrom('models').selectAll().where('id', '=', id).executeTakeFirst();
  return stored ? modelOf(stored) : null;
}

/** @throws CortexError conflict where another model is served under the name */
export async function insertModel(db: Executor, model: NewModel): Promise<ModelRecord> {
  const createdAt = new Date().toISOString();
  const record: ModelRecord = { ...model, id: newId('mdl'), wanted: 'stopped', createdAt, version: 1 };
  try {
    await db
      .insertInto('models')
      .values({
        id: record.id,
        name: record.name,
        served_name: record.served_name,
        engine: record.engine,
        task: record.task,
        folder: record.folder,
        replicas: record.replicas,
        file: record.file,
        options: JSON.stringify(record.options),
        wanted: record.wanted,
        created_at: record.createdAt,
      })
      .execute();
  } catch (error) {
    throw servedNameTaken(model.served_name, error);
  }
  return record;
}

/** The conflict where a write broke the uniqueness of served names; the error itself where it is another one. */
export function servedNameTaken(servedName: string, error: unknown): unknown {
  if (!isUniqueViolation(error)) return error;
  const detail = `Another model is served as '${servedName}'.`;
  return new CortexError('conflict', { detail }, { cause: error, param: 'served_name' });
}

/** Sets what is wanted; tells whether there is such a model. */
export async function setWanted(db: Executor, id: string, value: Wanted): Promise<boolean> {
  const result = await db.updateTable('models').set({ wanted: value }).where('id', '=', id).executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** Deletes the record; tells whether there was one. */
export async function deleteModel(db: Executor, id: string): Promise<boolean> {
  const result = await db.deleteFrom('models').where('id', '=', id).executeTakeFirst();
  return result.numDeletedRows > 0n;
}
