import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { listenForChanges } from '../../backend/src/db/change-notices.ts';
import { ensureOrganization, insertUser } from '../../backend/src/db/identity-records.ts';
import { openDatabase } from '../../backend/src/db/open.ts';
import { Identity } from '../../backend/src/identity/identity.ts';
import { RoutingTable } from '../../backend/src/routing/table.ts';
import { hasPostgres } from './both-databases.ts';
import { type PostgresServer, startPostgres } from './postgres-server.ts';

describe.runIf(hasPostgres)('two servers on one Postgres', () => {
  let postgres: PostgresServer;
  const logged: string[] = [];
  const logger = { warn: (_: object, message: string) => void logged.push(message) };
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres.stop());

  async function startServer() {
    const { db, close } = await openDatabase({ url: postgres.url });
    const table = new RoutingTable();
    const identity = new Identity({ db, snapshot: table, sessionTtlMs: 60_000 });
    await identity.publish();
    const notices = listenForChanges({ url: postgres.url, onChange: () => void identity.publish(), logger });
    return { db, table, identity, stop: () => notices.close().then(close) };
  }
  const admin = async ({ db }: Awaited<ReturnType<typeof startServer>>) => {
    const organizationId = await ensureOrganization(db, 'o');
    const username = `u-${Math.random()}`;
    const user = await insertUser(db, {
      organizationId,
      username,
      role: 'admin',
      passwordHash: '',
      mustChangePassword: false,
    });
    return { id: '', hash: '', expiresAtMs: 0, user };
  };
  const newKey = { name: 'k', scopes: ['chat' as const], models: null, networks: null, expires_at: null };

  it('know of a new key and of its revocation within a second, whichever made it', async () => {
    const [one, other] = [await startServer(), await startServer()];
    try {
      const { key } = await one.identity.createKey(await admin(one), newKey);
      const known = () => other.table.parts.keys.some(({ keyId }) => keyId === key.id);
      await vi.waitFor(() => expect(known()).toBe(true), { timeout: 1000, interval: 10 });
      await one.identity.revokeKey(key.id);
      await vi.waitFor(() => expect(known()).toBe(false), { timeout: 1000, interval: 10 });
    } finally {
      await one.stop();
      await other.stop();
    }
  });

  it('hear of what changed while the connection was away', async () => {
    const server = await startServer();
    try {
      const listening = sql<{ pid: number }>`select pid from pg_stat_activity where query = 'listen cortex_changes'`;
      await vi.waitFor(async () => expect((await listening.execute(server.db)).rows).toHaveLength(1));
      for (const { pid } of (await listening.execute(server.db)).rows)
        await sql`select pg_terminate_backend(${pid})`.execute(server.db);
      const { key } = await server.identity.createKey(await admin(server), newKey);
      server.table.replaceKeys([]);
      const known = () => server.table.parts.keys.some(({ keyId }) => keyId === key.id);
      await vi.waitFor(() => expect(known()).toBe(true), { timeout: 3000, interval: 20 });
      expect(logged).toContain('Changes of other servers are heard of late for now');
    } finally {
      await server.stop();
    }
  });
});
