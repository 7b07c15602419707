import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe } from 'vitest';
import { type OpenDatabase, openDatabase } from '../../backend/src/db/open.ts';
import { type PostgresServer, postgresVersion, startPostgres } from './postgres-server.ts';

const worker = fileURLToPath(new URL('../../dist/backend/src/db/pglite-worker.js', import.meta.url));
if (!existsSync(worker)) throw new Error('The embedded database runs from dist/: npm run build:server first');

// A newcomer's machine may have no Postgres server; the gate must have one.
export const hasPostgres =
  postgresVersion !== undefined || process.env.CI !== undefined || process.env.REQUIRE_DOCKER !== undefined;
if (!hasPostgres)
  console.warn('Only the embedded database is tested: there is no Postgres server here (apt-get install postgresql).');

/** Runs the same statements on the embedded database and on a real Postgres server. */
export function onBothDatabases(body: (database: () => OpenDatabase) => void): void {
  for (const kind of hasPostgres ? (['embedded', 'postgres'] as const) : (['embedded'] as const)) {
    describe(`on ${kind}`, () => {
      let opened: OpenDatabase | null = null;
      let server: PostgresServer | null = null;
      beforeAll(async () => {
        if (kind === 'postgres') server = await startPostgres();
        opened = await openDatabase(server ? { url: server.url } : { dataDir: null });
      });
      afterAll(async () => {
        await opened?.close();
        await server?.stop();
      });
      body(() => {
        if (!opened) throw new Error('the database is not open');
        return opened;
      });
    });
  }
}
