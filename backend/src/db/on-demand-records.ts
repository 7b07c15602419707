import { type OnDemandSettings, onDemandSettings } from '../../../contract/on-demand.ts';
import type { Executor } from './schema.ts';

/** By the model's id. */
export async function listOnDemand(db: Executor): Promise<Map<string, OnDemandSettings>> {
  const rows = await db.selectFrom('on_demand').selectAll().execute();
  return new Map(rows.map((row) => [row.model_id, onDemandSettings.parse(row.settings)]));
}

/** @param settings null: it is loaded by no request any more */
export async function putOnDemand(db: Executor, modelId: string, settings: OnDemandSettings | null): Promise<void> {
  if (settings === null) {
    await db.deleteFrom('on_demand').where('model_id', '=', modelId).execute();
    return;
  }
  const value = JSON.stringify(settings);
  await db
    .insertInto('on_demand')
    .values({ model_id: modelId, settings: value })
    .onConflict((conflict) => conflict.column('model_id').doUpdateSet({ settings: value }))
    .execute();
}
