import type { Kysely, Migration } from 'kysely';

/** Counts the changes of a model, and keeps who changed what. */
export const modelVersions: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .alterTable('models')
      .addColumn('version', 'integer', (c) => c.notNull().defaultTo(1))
      .execute();
    // No foreign key: who changed a model stays known after the model is deleted.
    await db.schema
      .createTable('model_changes')
      .addColumn('model_id', 'text', (c) => c.notNull())
      .addColumn('version', 'integer', (c) => c.notNull())
      .addColumn('at', 'timestamptz', (c) => c.notNull())
      .addColumn('username', 'text', (c) => c.notNull())
      .addColumn('fields', 'jsonb', (c) => c.notNull())
      .addPrimaryKeyConstraint('model_changes_pkey', ['model_id', 'version'])
      .execute();
  },
};
