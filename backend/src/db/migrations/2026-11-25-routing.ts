import type { Kysely, Migration } from 'kysely';

/** Aliases, external endpoints, limits, how models are served, and the networks of API keys. */
export const routing: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.alterTable('api_keys').addColumn('networks', 'jsonb').execute();
    await db.schema
      .createTable('aliases')
      .addColumn('name', 'text', (c) => c.primaryKey())
      .addColumn('targets', 'jsonb', (c) => c.notNull())
      .execute();
    await db.schema
      .createTable('endpoints')
      .addColumn('id', 'text', (c) => c.primaryKey())
      .addColumn('name', 'text', (c) => c.notNull().unique())
      .addColumn('served_name', 'text', (c) => c.notNull())
      .addColumn('task', 'text', (c) => c.notNull())
      .addColumn('url', 'text', (c) => c.notNull())
      .addColumn('upstream_model', 'text')
      .addColumn('ca', 'text')
      .addColumn('api_key', 'text')
      .addColumn('created_at', 'timestamptz', (c) => c.notNull())
      .execute();
    await db.schema
      .createTable('limits')
      .addColumn('subject', 'text', (c) => c.notNull())
      .addColumn('subject_id', 'text', (c) => c.notNull())
      .addColumn('requests_per_minute', 'bigint')
      .addColumn('tokens_per_minute', 'bigint')
      .addColumn('concurrent_requests', 'bigint')
      .addColumn('tokens_per_day', 'bigint')
      .addColumn('tokens_per_month', 'bigint')
      .addPrimaryKeyConstraint('limits_pkey', ['subject', 'subject_id'])
      .execute();
    await db.schema
      .createTable('serving')
      .addColumn('served_name', 'text', (c) => c.primaryKey())
      .addColumn('settings', 'jsonb', (c) => c.notNull())
      .execute();
  },
};
