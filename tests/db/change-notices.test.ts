import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { listenForChanges } from '../../backend/src/db/change-notices.ts';
import { ensureOrganization, insertUser } from '../../backend/src/db/identity-records.ts';
import { deleteModel, insertModel } from '../../backend/src/db/model-records.ts';
import { openDatabase } from '../../backend/src/db/open.ts';
import { Identity } from '../../backend/src/identity/identity.ts';
import { hashPassword } from '../../backend/src/identity/passwords.ts';
import { RoutingTable } from '../../backend/src/routing/table.ts';
import { newModel } from '../../contract/models.ts';
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
    const heard: (readonly string[])[] = [];
    const table = new RoutingTable();
    const identity = new Identity({ db, snapshot: table, sessionTtlMs: 60_000 });
    await identity.publish();
    const onChange = (tables: ReadonlySet<string> | null) => {
      heard.push([...(tables ?? ['any'])]);
      // A notice may come while the server stops.
      identity.publish().catch(() => undefined);
    };
    const notices = listenForChanges({ url: postgres.url, onChange, logger });
    return { db, table, identity, heard, stop: () => notices.close().then(close) };
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
  const someModel = newModel.parse({
    ...{ name: 'm', served_name: 'm', engine: 'llamacpp', folder: 'm', file: 'm.gguf', options: {} },
  });
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

  it('hear which tables another one has written, models among them', async () => {
    const [one, other] = [await startServer(), await startServer()];
    try {
      await vi.waitFor(() => expect(other.heard).toContainEqual(['any']));
      const { id } = await insertModel(one.db, someModel);
      await vi.waitFor(() => expect(other.heard).toContainEqual(['models']), { timeout: 1000, interval: 10 });
      await deleteModel(one.db, id);
    } finally {
      await one.stop();
      await other.stop();
    }
  });

  it('take a session that another one has just made, and refuse it when that one has ended it', async () => {
    const [one, other] = [await startServer(), await startServer()];
    try {
      const { user } = await admin(one);
      await sql`update users set password_hash = ${await hashPassword('a password of mine')} where id = ${user.id}`.execute(
        one.db,
      );
      const { token, session } = await one.identity.login(user.username, 'a password of mine', '127.0.0.1');
      expect((await other.identity.findSession(token))?.user.id).toBe(user.id);
      await one.identity.logout(session);
      await vi.waitFor(async () => expect(await other.identity.findSession(token)).toBeNull(), { timeout: 1000 });
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
