import type { Kysely, Migration } from 'kysely';

/** What was measured of models. */
export const trials: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('benchmarks')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('model_id', 'text', (c) => c.notNull().references('models.id').onDelete('cascade'))
      .addColumn('username', 'text', (c) => c.notNull())
      .addColumn('state', 'text', (c) => c.notNull())
      .addColumn('started_at', 'timestamptz', (c) => c.notNull())
      .addColumn('ended_at', 'timestamptz')
      .addColumn('error', 'jsonb')
      .addColumn('settings', 'jsonb', (c) => c.notNull())
      .addColumn('subject', 'jsonb', (c) => c.notNull())
      .addColumn('steps', 'jsonb', (c) => c.notNull())
      .execute();
    await db.schema.createIndex('benchmarks_of_model').on('benchmarks').columns(['model_id', 'started_at']).execute();
  },
};
