import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type OpenDatabase, openDatabase } from '../../backend/src/db/open.ts';
import { type PostgresServer, postgresVersion, startPostgres } from './postgres-server.ts';

describe.skipIf(postgresVersion === undefined && !process.env.CI)('a Postgres server that crashes', () => {
  let postgres: PostgresServer;
  let database: OpenDatabase;
  let told: string[];
  beforeEach(async () => {
    postgres = await startPostgres();
    told = [];
    database = await openDatabase({ url: postgres.url }, (error) => void told.push(error.message));
  });
  afterEach(async () => {
    await database.close();
    await postgres.stop();
  });
  const one = () => sql<{ one: number }>`select 1 as one`.execute(database.db);

  it('fails the transaction that is under way between two of its queries, and not the process', async () => {
    const broken = database.db.transaction().execute(async (transaction) => {
      await sql`select 1`.execute(transaction);
      await postgres.crash();
      // Time for the connection's end to be seen while nothing is asked.
      await new Promise((resolve) => setTimeout(resolve, 100));
      await sql`select 1`.execute(transaction);
    });
    await expect(broken).rejects.toThrow();
    await postgres.restart();
    expect((await one()).rows).toEqual([{ one: 1 }]);
  });

  it('is told of where nobody uses the connection, and asked anew later', async () => {
    await one();
    await postgres.crash();
    await vi.waitFor(() => expect(told.length).toBeGreaterThan(0));
    await expect(one()).rejects.toThrow();
    await postgres.restart();
    expect((await one()).rows).toEqual([{ one: 1 }]);
  });
});
