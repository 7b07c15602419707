import type { Kysely, Migration } from 'kysely';

/** Models that are loaded by their first request. */
export const onDemand: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('on_demand')
      .addColumn('model_id', 'text', (c) => c.primaryKey().references('models.id').onDelete('cascade'))
      .addColumn('settings', 'jsonb', (c) => c.notNull())
      .execute();
  },
};
