import { randomBytes } from 'node:crypto';
import type { Kysely } from 'kysely';
import { CortexError } from '../../../contract/errors.ts';
import { passwordMinLength } from '../../../contract/identity.ts';
import type { ApiKey, NewApiKey } from '../../../contract/keys.ts';
import { rightsOf } from '../../../contract/rights.ts';
import * as records from '../db/identity-records.ts';
import * as keyRecords from '../db/key-records.ts';
import { isUniqueViolation } from '../db/open.ts';
import type { Database } from '../db/schema.ts';
import type { KeyEntry, SessionEntry } from '../routing/table.ts';
import { generatePassword, hashPassword, verifyPassword } from './passwords.ts';
import { sha256Hex } from './secret-files.ts';
import { LoginThrottle } from './throttle.ts';

/** The part of the routing table that identity fills. */
export interface IdentitySnapshot {
  replaceKeys(entries: KeyEntry[]): void;
  replaceSessions(entries: SessionEntry[]): void;
}

export interface IdentityOptions {
  readonly db: Kysely<Database>;
  readonly snapshot: IdentitySnapshot;
  readonly sessionTtlMs: number;
  readonly nowMs?: () => number;
  readonly throttle?: LoginThrottle;
}

const sessionToken = /^[A-Za-z0-9_-]{43}$/;

/**
 * Users, their sessions and API keys. Every change is published to the routing table before it is answered, so a revoked
 * key or an ended session is refused from that moment on.
 */
export class Identity {
  readonly #db: Kysely<Database>;
  readonly #snapshot: IdentitySnapshot;
  readonly #sessionTtlMs: number;
  readonly #nowMs: () => number;
  readonly #throttle: LoginThrottle;
  /** What an unknown user's password is checked against, so that it takes as long as a known one's. */
  readonly #nobody = hashPassword(randomBytes(16).toString('hex'));
  #publishing: Promise<void> = Promise.resolve();
  /** By hash, as published last. */
  #sessions: ReadonlyMap<string, records.SessionRecord> = new Map();

  constructor(options: IdentityOptions) {
    this.#db = options.db;
    this.#snapshot = options.snapshot;
    this.#sessionTtlMs = options.sessionTtlMs;
    this.#nowMs = options.nowMs ?? Date.now;
    this.#throttle = options.throttle ?? new LoginThrottle();
    // Awaited by the first sign-in of an unknown user, perhaps never: its failure must not end the process before.
    this.#nobody.catch(() => undefined);
  }

  /**
   * Creates the first administrator. The password is in the answer and nowhere else.
   * @throws CortexError already_bootstrapped
   */
  async bootstrap(username: string, organization: string): Promise<{ username: string; password: string }> {
    const password = generatePassword();
    const passwordHash = await hashPassword(password);
    try {
      await this.#db
        .transaction()
        .setIsolationLevel('serializable')
        .execute(async (tx) => {
          if ((await records.countAdministrators(tx)) > 0) throw new CortexError('already_bootstrapped', {});
          const organizationId = await records.ensureOrganization(tx, organization);
          await records.insertUser(tx, {
            organizationId,
            username,
            role: 'admin',
            passwordHash,
            mustChangePassword: true,
          });
        });
    } catch (error) {
      // Two at once: the database lets one through (40001 is its word for the other).
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === '40001' || isUniqueViolation(error)) {
        throw new CortexError('already_bootstrapped', {}, { cause: error });
      }
      throw error;
    }
    return { username, password };
  }

  async isBootstrapped(): Promise<boolean> {
    return (await records.countAdministrators(this.#db)) > 0;
  }

  /**
   * Signs a user in; gives the value for the cookie.
   * @throws CortexError login_failed, login_throttled
   */
  async login(
    username: string,
    password: string,
    address: string,
  ): Promise<{ token: string; session: records.SessionRecord }> {
    const key = `${username.toLowerCase()} ${address}`;
    const waitMs = this.#throttle.waitMs(key, this.#nowMs());
    if (waitMs > 0) throw new CortexError('login_throttled', { retryAfterSeconds: Math.ceil(waitMs / 1000) });
    // Counted before the slow check, so that many tries at once are not all let in.
    this.#throttle.failed(key, this.#nowMs());
    const user = await records.findUserByName(this.#db, username);
    const right = await verifyPassword(password, user?.passwordHash ?? (await this.#nobody));
    if (!user || !right) throw new CortexError('login_failed', {});
    this.#throttle.succeeded(key);

    const token = randomBytes(32).toString('base64url');
    const hash = sha256Hex(token);
    const expiresAtMs = this.#nowMs() + this.#sessionTtlMs;
    await records.deleteEndedSessions(this.#db, this.#nowMs());
    const id = await records.insertSession(this.#db, { hash, userId: user.id, expiresAtMs });
    await this.publish();
    return { token, session: { id, hash, expiresAtMs, user } };
  }

  /** The session of a cookie's value; null where it is not one that this server made, or has ended. */
  async findSession(token: string): Promise<records.SessionRecord | null> {
    if (!sessionToken.test(token)) return null;
    const hash = sha256Hex(token);
    const nowMs = this.#nowMs();
    const known = this.#sessions.get(hash);
    if (known !== undefined) return known.expiresAtMs > nowMs ? known : null;
    // One that another server has just made.
    return records.findSession(this.#db, hash, nowMs);
  }

  async logout(session: records.SessionRecord): Promise<void> {
    await records.deleteSession(this.#db, session.id);
    await this.publish();
  }

  /**
   * Changes the own password and ends all other sessions of the user.
   * @throws CortexError login_failed, login_throttled, password_weak
   */
  async changePassword(session: records.SessionRecord, current: string, next: string): Promise<void> {
    if (next.length < passwordMinLength) throw new CortexError('password_weak', { minLength: passwordMinLength });
    const key = `change ${session.user.id}`;
    const waitMs = this.#throttle.waitMs(key, this.#nowMs());
    if (waitMs > 0) throw new CortexError('login_throttled', { retryAfterSeconds: Math.ceil(waitMs / 1000) });
    this.#throttle.failed(key, this.#nowMs());
    if (!(await verifyPassword(current, session.user.passwordHash))) throw new CortexError('login_failed', {});
    this.#throttle.succeeded(key);
    const passwordHash = await hashPassword(next);
    await this.#db.transaction().execute(async (tx) => {
      await records.updatePassword(tx, session.user.id, passwordHash);
      await records.deleteOtherSessions(tx, session.user.id, session.id);
    });
    await this.publish();
  }

  listKeys(): Promise<ApiKey[]> {
    return keyRecords.listKeys(this.#db);
  }

  /** Makes an API key. `token` is in this answer and nowhere else: only its SHA-256 is kept. */
  async createKey(session: records.SessionRecord, key: NewApiKey): Promise<{ key: ApiKey; token: string }> {
    const token = `ctx_${randomBytes(32).toString('base64url')}`;
    const id = await keyRecords.insertKey(this.#db, {
      ...key,
      hash: sha256Hex(token),
      prefix: token.slice(0, 12),
      userId: session.user.id,
      organizationId: session.user.organizationId,
    });
    await this.publish();
    return { key: await this.#key(id), token };
  }

  /** @throws CortexError not_found */
  async revokeKey(id: string): Promise<ApiKey> {
    await this.#key(id);
    await keyRecords.revokeKey(this.#db, id);
    await this.publish();
    return this.#key(id);
  }

  async #key(id: string): Promise<ApiKey> {
    const key = await keyRecords.findKey(this.#db, id);
    if (!key) throw new CortexError('not_found', { what: 'API key', id });
    return key;
  }

  /** Reads keys and sessions anew into the routing table. One after the other, so an older reading never wins. */
  publish(): Promise<void> {
    const next = this.#publishing.catch(() => undefined).then(() => this.#read());
    this.#publishing = next;
    return next;
  }

  async #read(): Promise<void> {
    const keys = await keyRecords.listLiveKeys(this.#db);
    const sessions = await records.listSessions(this.#db, this.#nowMs());
    this.#sessions = new Map(sessions.map((session) => [session.hash, session]));
    this.#snapshot.replaceKeys(
      keys.map((key) => ({
        hash: key.hash,
        keyId: key.id,
        keyName: key.name,
        userId: key.userId,
        organizationId: key.organizationId,
        scopes: key.scopes,
        models: key.models,
        networks: key.networks,
        expiresAtMs: key.expiresAtMs,
      })),
    );
    this.#snapshot.replaceSessions(
      sessions.map((session) => ({
        hash: session.hash,
        sessionId: session.id,
        userId: session.user.id,
        organizationId: session.user.organizationId,
        expiresAtMs: session.expiresAtMs,
        rights: rightsOf[session.user.role],
      })),
    );
  }
}
