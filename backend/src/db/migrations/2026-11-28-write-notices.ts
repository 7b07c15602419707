import { type Kysely, type Migration, sql } from 'kysely';

/** Servers keep the list of models in memory too. */
export const writeNotices: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`
      create trigger tell_of_change after insert or update or delete on models
      for each statement execute function tell_of_change()`.execute(db);
  },
};
