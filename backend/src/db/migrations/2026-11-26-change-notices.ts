import { type Kysely, type Migration, sql } from 'kysely';

const noticed = ['users', 'sessions', 'api_keys', 'aliases', 'endpoints', 'limits', 'serving'];

/** Tells every server on the database at once that what it keeps in memory has changed, whoever changed it. */
export const changeNotices: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`
      create function tell_of_change() returns trigger language plpgsql as $$
      begin
        perform pg_notify('cortex_changes', tg_table_name);
        return null;
      end $$`.execute(db);
    for (const table of noticed) {
      await sql`
        create trigger tell_of_change after insert or update or delete on ${sql.table(table)}
        for each statement execute function tell_of_change()`.execute(db);
    }
  },
};
