import type { Kysely, Migration } from 'kysely';

/** The GPUs that a model was given at its last start, and what its engine said of its memory then. */
export const memoryReports: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('models').addColumn('gpus', 'jsonb').execute();
    await db.schema
      .createTable('memory_reports')
      .addColumn('model_id', 'text', (c) => c.primaryKey().references('models.id').onDelete('cascade'))
      .addColumn('at', 'timestamptz', (c) => c.notNull())
      .addColumn('planned', 'jsonb')
      .addColumn('reported', 'jsonb', (c) => c.notNull())
      .execute();
  },
};
