import type { Kysely, Migration } from 'kysely';

/** What a usage row says of routing, waiting and the cause of its end. */
export const usageDetail: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .alterTable('usage')
      .addColumn('requested_name', 'text', (c) => c.notNull().defaultTo(''))
      .addColumn('replica', 'text')
      .addColumn('cached_tokens', 'bigint', (c) => c.notNull().defaultTo(0))
      .addColumn('queue_ms', 'double precision', (c) => c.notNull().defaultTo(0))
      .addColumn('cause', 'text')
      .execute();
  },
};
