import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureOrganization, insertUser } from '../../backend/src/db/identity-records.ts';
import { Identity } from '../../backend/src/identity/identity.ts';
import { hashPassword } from '../../backend/src/identity/passwords.ts';
import { readLocalToken, readRootSecret, sha256Hex } from '../../backend/src/identity/secret-files.ts';
import type { KeyEntry, SessionEntry } from '../../backend/src/routing/table.ts';
import { onBothDatabases } from './both-databases.ts';

/** What the gateway would see. */
class Seen {
  keys: KeyEntry[] = [];
  sessions: SessionEntry[] = [];
  replaceKeys(entries: KeyEntry[]): void {
    this.keys = entries;
  }
  replaceSessions(entries: SessionEntry[]): void {
    this.sessions = entries;
  }
}

const hour = 3_600_000;
const newKey = { name: 'k', scopes: ['chat' as const], models: null, networks: null, expires_at: null };

onBothDatabases((database) => {
  let nowMs: number;
  let seen: Seen;
  let identity: Identity;
  let password: string;

  beforeEach(async () => {
    const { db } = database();
    await db.deleteFrom('api_keys').execute();
    await db.deleteFrom('users').execute();
    nowMs = Date.now();
    seen = new Seen();
    identity = new Identity({ db, snapshot: seen, sessionTtlMs: hour, nowMs: () => nowMs });
    ({ password } = await identity.bootstrap('admin', 'Default'));
  });

  const codeOf = (promise: Promise<unknown>) =>
    promise.then(
      () => 'no error',
      (error: { code?: string }) => error.code,
    );

  describe('the first administrator', () => {
    it('is made once, also when asked for many times at once', async () => {
      const { db } = database();
      await db.deleteFrom('users').execute();
      const codes = await Promise.all([1, 2, 3, 4].map((n) => codeOf(identity.bootstrap(`admin${n}`, 'Default'))));
      expect(codes.sort()).toEqual([
        'already_bootstrapped',
        'already_bootstrapped',
        'already_bootstrapped',
        'no error',
      ]);
    });

    it('signs in with the password that was given once, and must change it', async () => {
      const { session } = await identity.login('Admin', password, '::1');
      expect(session.user).toMatchObject({ username: 'admin', role: 'admin', mustChangePassword: true });
    });
  });

  describe('a sign-in', () => {
    it('gives a random value of which only the hash is kept', async () => {
      const { token } = await identity.login('admin', password, '::1');
      expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/);
      const rows = await database().db.selectFrom('sessions').select('hash').execute();
      expect(rows).toEqual([{ hash: sha256Hex(token) }]);
      expect((await identity.findSession(token))?.user.username).toBe('admin');
    });

    it('fails alike for a wrong password and for an unknown user', async () => {
      expect(await codeOf(identity.login('admin', 'wrong', '::1'))).toBe('login_failed');
      expect(await codeOf(identity.login('nobody', 'wrong', '::1'))).toBe('login_failed');
    });

    it('is slowed down after failures, for that user from that address alone', async () => {
      for (let n = 0; n < 5; n++)
        expect(await codeOf(identity.login('admin', 'wrong', '10.0.0.1'))).toBe('login_failed');
      expect(await codeOf(identity.login('admin', password, '10.0.0.1'))).toBe('login_throttled');
      expect(await codeOf(identity.login('admin', password, '10.0.0.2'))).toBe('no error');
      nowMs += 60_000;
      expect(await codeOf(identity.login('admin', password, '10.0.0.1'))).toBe('no error');
    });

    it('lets no more tries in at once than one after the other', async () => {
      const tries = Array.from({ length: 20 }, () => codeOf(identity.login('admin', 'wrong', '10.0.0.3')));
      const codes = await Promise.all(tries);
      expect(codes.filter((code) => code === 'login_failed')).toHaveLength(5);
    });
  });

  describe('a session', () => {
    it.each(['admin', '', 'x'.repeat(43), `${'x'.repeat(42)}!`])('is not the made-up value %j', async (value) => {
      expect(await identity.findSession(value)).toBeNull();
    });

    it('ends at its time', async () => {
      const { token } = await identity.login('admin', password, '::1');
      nowMs += hour;
      expect(await identity.findSession(token)).toBeNull();
    });

    it('ends at the sign-out, for the gateway too', async () => {
      const { token, session } = await identity.login('admin', password, '::1');
      expect(seen.sessions).toEqual([
        expect.objectContaining({ hash: sha256Hex(token), rights: expect.arrayContaining(['chat']) }),
      ]);
      await identity.logout(session);
      expect(await identity.findSession(token)).toBeNull();
      expect(seen.sessions).toEqual([]);
    });
  });

  describe('a change of the password', () => {
    it('ends the other sessions and lets the old password in no more', async () => {
      const here = await identity.login('admin', password, '::1');
      const there = await identity.login('admin', password, '::1');
      await identity.changePassword(here.session, password, 'four random words');
      expect((await identity.findSession(here.token))?.user.mustChangePassword).toBe(false);
      expect(await identity.findSession(there.token)).toBeNull();
      expect(await codeOf(identity.login('admin', password, '::1'))).toBe('login_failed');
      expect(await codeOf(identity.login('admin', 'four random words', '::1'))).toBe('no error');
    });

    it('needs the present password and a new one that is long enough', async () => {
      const { session } = await identity.login('admin', password, '::1');
      expect(await codeOf(identity.changePassword(session, 'wrong', 'four random words'))).toBe('login_failed');
      expect(await codeOf(identity.changePassword(session, password, 'short'))).toBe('password_weak');
    });
  });

  describe('an API key', () => {
    it('is known to the gateway from the moment it is made until it is revoked', async () => {
      const { session } = await identity.login('admin', password, '::1');
      const { key, token } = await identity.createKey(session, newKey);
      expect(token).toMatch(/^ctx_[A-Za-z0-9_-]{43}$/);
      expect(token.startsWith(key.prefix)).toBe(true);
      expect(seen.keys).toEqual([expect.objectContaining({ hash: sha256Hex(token), keyId: key.id, scopes: ['chat'] })]);
      expect((await identity.revokeKey(key.id)).revoked_at).not.toBeNull();
      expect(seen.keys).toEqual([]);
      expect(await identity.listKeys()).toHaveLength(1);
    });

    it('that is not there cannot be revoked', async () => {
      expect(await codeOf(identity.revokeKey('key_nothing'))).toBe('not_found');
    });
  });

  it('a user has the rights of the role user alone', async () => {
    const { db } = database();
    const organizationId = await ensureOrganization(db, 'Default');
    const passwordHash = await hashPassword('four random words');
    await insertUser(db, { organizationId, username: 'ada', role: 'user', passwordHash, mustChangePassword: false });
    await identity.login('ada', 'four random words', '::1');
    expect(seen.sessions.map((session) => [...session.rights])).toEqual([['models:read', 'chat']]);
  });
});

describe('the files of secrets', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'cortex-secrets-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('are made once and can be read by the owner alone', () => {
    const token = readLocalToken(join(dir, 'data'));
    expect(readLocalToken(join(dir, 'data'))).toBe(token);
    expect(readRootSecret(join(dir, 'data'))).toEqual(readRootSecret(join(dir, 'data')));
    expect(readRootSecret(join(dir, 'data'))).toHaveLength(32);
    for (const name of ['local-token', 'secret']) expect(statSync(join(dir, 'data', name)).mode & 0o777).toBe(0o600);
  });

  it('are closed to others where somebody opened them', () => {
    writeFileSync(join(dir, 'local-token'), 'abc\n', { mode: 0o644 });
    expect(readLocalToken(dir)).toBe('abc');
    expect(statSync(join(dir, 'local-token')).mode & 0o777).toBe(0o600);
  });
});
