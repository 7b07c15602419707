import type { Kysely, Migration } from 'kysely';

/** How many engines serve a model. */
export const replicas: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .alterTable('models')
      .addColumn('replicas', 'integer', (c) => c.notNull().defaultTo(1))
      .execute();
  },
};
