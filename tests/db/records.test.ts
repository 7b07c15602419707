import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import * as identityRecords from '../../backend/src/db/identity-records.ts';
import * as keyRecords from '../../backend/src/db/key-records.ts';
import { migrate } from '../../backend/src/db/migrations.ts';
import { isUniqueViolation, openDatabase } from '../../backend/src/db/open.ts';
import type { Executor } from '../../backend/src/db/schema.ts';
import { insertUsage, listUsage } from '../../backend/src/db/usage-records.ts';
import { onBothDatabases } from './both-databases.ts';
import { usageOf } from './usage-record.ts';

let counter = 0;
const unique = (name: string) => `${name}-${++counter}`;

async function makeUser(db: Executor, username = unique('user')) {
  const organizationId = await identityRecords.ensureOrganization(db, 'Default');
  return identityRecords.insertUser(db, {
    organizationId,
    username,
    role: 'user',
    passwordHash: 'x',
    mustChangePassword: true,
  });
}

async function makeKey(db: Executor, more: { models?: string[] | null; expires_at?: string | null } = {}) {
  const owner = await makeUser(db);
  const id = await keyRecords.insertKey(db, {
    name: 'a key',
    scopes: ['chat', 'models'],
    models: more.models ?? null,
    networks: null,
    expires_at: more.expires_at ?? null,
    hash: unique('hash'),
    prefix: 'ctx_abcdefgh',
    userId: owner.id,
    organizationId: owner.organizationId,
  });
  return { id, owner };
}

onBothDatabases((database) => {
  const db = () => database().db;

  describe('the schema', () => {
    it('is brought up to date again without change', async () => {
      await expect(migrate(db())).resolves.toBeUndefined();
    });

    it('refuses a database that a newer Cortex has written', async () => {
      await expect(migrate(db(), [])).rejects.toMatchObject({ code: 'schema_newer' });
    });

    it('gives counts and sums as numbers', async () => {
      const { rows } = await sql`select count(*) as c, sum(x) as s from (values (1::bigint), (2)) as t(x)`.execute(
        db(),
      );
      expect(rows).toEqual([{ c: 2, s: 3 }]);
    });
  });

  describe('users', () => {
    it('are found whatever the case of their name', async () => {
      const made = await makeUser(db(), unique('Ada'));
      expect(await identityRecords.findUserByName(db(), made.username.toUpperCase())).toEqual(made);
      expect(await identityRecords.findUserByName(db(), 'nobody')).toBeNull();
    });

    it('cannot differ by case alone', async () => {
      const made = await makeUser(db(), unique('Bob'));
      const second = makeUser(db(), made.username.toUpperCase());
      await expect(second).rejects.toSatisfy(isUniqueViolation);
    });
  });

  describe('sessions', () => {
    it('end at their time', async () => {
      const owner = await makeUser(db());
      const hash = unique('session');
      await identityRecords.insertSession(db(), { hash, userId: owner.id, expiresAtMs: 2_000 });
      expect((await identityRecords.findSession(db(), hash, 1_999))?.user).toEqual(owner);
      expect(await identityRecords.findSession(db(), hash, 2_000)).toBeNull();
      await identityRecords.deleteEndedSessions(db(), 2_000);
      expect(await identityRecords.findSession(db(), hash, 0)).toBeNull();
    });

    it('of one user end together but for the one that is named', async () => {
      const owner = await makeUser(db());
      const expiresAtMs = Date.now() + 60_000;
      const [kept, ended] = [unique('session'), unique('session')];
      const id = await identityRecords.insertSession(db(), { hash: kept, userId: owner.id, expiresAtMs });
      await identityRecords.insertSession(db(), { hash: ended, userId: owner.id, expiresAtMs });
      await identityRecords.deleteOtherSessions(db(), owner.id, id);
      expect(await identityRecords.findSession(db(), kept, Date.now())).not.toBeNull();
      expect(await identityRecords.findSession(db(), ended, Date.now())).toBeNull();
    });
  });

  describe('API keys', () => {
    it('come back as they were made', async () => {
      const expires = '2099-01-01T00:00:00.000Z';
      const { id, owner } = await makeKey(db(), { models: ['a', 'b'], expires_at: expires });
      expect(await keyRecords.findKey(db(), id)).toMatchObject({
        id,
        owner: owner.username,
        scopes: ['chat', 'models'],
        models: ['a', 'b'],
        expires_at: expires,
        revoked_at: null,
        last_used_at: null,
        requests: 0,
      });
      const live = (await keyRecords.listLiveKeys(db())).find((key) => key.id === id);
      expect(live).toMatchObject({ models: ['a', 'b'], expiresAtMs: Date.parse(expires) });
    });

    it('are not live any more once revoked, and keep the time of the first revocation', async () => {
      const { id } = await makeKey(db());
      await keyRecords.revokeKey(db(), id);
      const first = (await keyRecords.findKey(db(), id))?.revoked_at;
      await keyRecords.revokeKey(db(), id);
      expect(first).toEqual(expect.any(String));
      expect((await keyRecords.findKey(db(), id))?.revoked_at).toBe(first);
      expect((await keyRecords.listLiveKeys(db())).map((key) => key.id)).not.toContain(id);
    });

    it('show how often and when they were used last', async () => {
      const { id } = await makeKey(db());
      await insertUsage(db(), [
        usageOf({ key_id: id, at: '2026-01-01T00:00:00.000Z' }),
        usageOf({ key_id: id, at: '2026-01-03T00:00:00.000Z' }),
      ]);
      const key = await keyRecords.findKey(db(), id);
      expect(key).toMatchObject({ requests: 2, last_used_at: '2026-01-03T00:00:00.000Z' });
    });
  });

  describe('usage', () => {
    it('comes back as it was recorded, newest first, with the name of its key', async () => {
      const { id, owner } = await makeKey(db());
      const older = usageOf({ key_id: id, user_id: owner.id, at: '2026-01-01T00:00:00.001Z', first_byte_ms: 1.25 });
      const newer = usageOf({ key_id: id, at: '2026-01-01T00:00:00.002Z', outcome: 'client_gone', estimated: true });
      await insertUsage(db(), [older, newer]);
      expect((await listUsage(db(), { limit: 10, key_id: id })).records).toEqual([
        { ...newer, key_name: 'a key' },
        { ...older, key_name: 'a key' },
      ]);
    });

    it('of an empty batch is no error', async () => {
      await expect(insertUsage(db(), [])).resolves.toBeUndefined();
    });
  });

  describe('a transaction', () => {
    it('is undone as a whole, and others wait for its end', async () => {
      const username = unique('undone');
      const failing = db()
        .transaction()
        .execute(async (tx) => {
          await makeUser(tx, username);
          throw new Error('stop');
        });
      const meanwhile = keyRecords.listKeys(db());
      await expect(failing).rejects.toThrow('stop');
      await meanwhile;
      expect(await identityRecords.findUserByName(db(), username)).toBeNull();
    });
  });
});

describe('the embedded database', () => {
  it('keeps its rows from one start to the next, and lets nobody else in meanwhile', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'cortex-embedded-'));
    const first = await openDatabase({ dataDir });
    const made = await makeUser(first.db);
    await expect(openDatabase({ dataDir })).rejects.toMatchObject({ code: 'database_unavailable' });
    await first.close();
    const second = await openDatabase({ dataDir });
    expect(await identityRecords.findUserByName(second.db, made.username)).toEqual(made);
    await second.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('is opened again after a crash that left its lock behind', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'cortex-embedded-'));
    writeFileSync(join(dataDir, 'lock'), `${process.pid} 1\n`);
    await (await openDatabase({ dataDir })).close();
    rmSync(dataDir, { recursive: true, force: true });
  });
});
