import type { Kysely } from 'kysely';
import { z } from 'zod';
import { CortexError } from '../../../contract/errors.ts';
import type { NewModel } from '../../../contract/models.ts';
import { findModel, type ModelRecord, servedNameTaken } from './model-records.ts';
import type { Database, Executor } from './schema.ts';

const change = z.object({
  version: z.number(),
  at: z.date(),
  username: z.string(),
  fields: z.array(z.string()),
});
export type ModelChange = z.infer<typeof change>;

export interface ModelUpdate {
  readonly id: string;
  /** Only a model of this version is changed. */
  readonly version: number;
  readonly model: NewModel;
  readonly fields: readonly string[];
  readonly username: string;
}

/**
 * Writes a model and who changed it, both or none; null where the model is gone or has another version.
 * @throws CortexError conflict where another model is served under the name
 */
export async function updateModel(db: Kysely<Database>, update: ModelUpdate): Promise<ModelRecord | null> {
  const { id, model, fields, username } = update;
  const version = update.version + 1;
  const { name, served_name, task, folder, file, replicas } = model;
  try {
    return await db.transaction().execute(async (tx) => {
      const written = await tx
        .updateTable('models')
        .set({ name, served_name, task, folder, file, replicas, options: JSON.stringify(model.options), version })
        .where('id', '=', id)
        .where('version', '=', update.version)
        .executeTakeFirst();
      if (written.numUpdatedRows === 0n) return null;
      await tx
        .insertInto('model_changes')
        .values({ model_id: id, version, at: new Date(), username, fields: JSON.stringify(fields) })
        .execute();
      return findModel(tx, id);
    });
  } catch (error) {
    throw servedNameTaken(served_name, error);
  }
}

/** What was changed after a version, oldest first. */
export async function changesSince(db: Executor, id: string, version: number): Promise<ModelChange[]> {
  const rows = await db
    .selectFrom('model_changes')
    .select(['version', 'at', 'username', 'fields'])
    .where('model_id', '=', id)
    .where('version', '>', version)
    .orderBy('version')
    .execute();
  return rows.map((row) => change.parse(row));
}

/** @throws CortexError model_changed with what was changed and by whom */
export async function refuseStale(db: Executor, id: string, name: string, version: number): Promise<never> {
  const changes = (await changesSince(db, id, version)).map(
    ({ fields, username, at }) => `${fields.join(', ')} by ${username} at ${at.toISOString()}`,
  );
  throw new CortexError('model_changed', {
    model: name,
    changes: changes.length === 0 ? `it never had the version ${version}` : changes.join('; '),
  });
}
