import { z } from 'zod';
import { type Role, role } from '../../../contract/rights.ts';
import { newId } from './ids.ts';
import type { Executor } from './schema.ts';

export interface UserRecord {
  readonly id: string;
  readonly organizationId: string;
  readonly username: string;
  readonly role: Role;
  readonly passwordHash: string;
  readonly mustChangePassword: boolean;
}

export interface SessionRecord {
  readonly id: string;
  readonly hash: string;
  readonly expiresAtMs: number;
  readonly user: UserRecord;
}

const userColumns = [
  'users.id as user_id',
  'users.organization_id',
  'users.username',
  'users.role',
  'users.password_hash',
  'users.must_change_password',
] as const;

const userRow = z
  .object({
    user_id: z.string(),
    organization_id: z.string(),
    username: z.string(),
    role,
    password_hash: z.string(),
    must_change_password: z.boolean(),
  })
  .transform(
    (row): UserRecord => ({
      id: row.user_id,
      organizationId: row.organization_id,
      username: row.username,
      role: row.role,
      passwordHash: row.password_hash,
      mustChangePassword: row.must_change_password,
    }),
  );

export async function countAdministrators(db: Executor): Promise<number> {
  const row = await db
    .selectFrom('users')
    .where('role', '=', 'admin')
    .select((e) => e.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  return row.count;
}

/** The organisation of that name, made where there is none. */
export async function ensureOrganization(db: Executor, name: string): Promise<string> {
  const id = newId('org');
  await db
    .insertInto('organizations')
    .values({ id, name, created_at: new Date() })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
  const row = await db.selectFrom('organizations').select('id').where('name', '=', name).executeTakeFirstOrThrow();
  return row.id;
}

export async function insertUser(db: Executor, user: Omit<UserRecord, 'id'>): Promise<UserRecord> {
  const id = newId('usr');
  await db
    .insertInto('users')
    .values({
      id,
      organization_id: user.organizationId,
      username: user.username,
      role: user.role,
      password_hash: user.passwordHash,
      must_change_password: user.mustChangePassword,
      created_at: new Date(),
    })
    .execute();
  return { ...user, id };
}

/** User names differ by more than upper and lower case. */
export async function findUserByName(db: Executor, username: string): Promise<UserRecord | null> {
  const row = await db
    .selectFrom('users')
    .select(userColumns)
    .where((e) => e(e.fn<string>('lower', ['username']), '=', username.toLowerCase()))
    .executeTakeFirst();
  return row ? userRow.parse(row) : null;
}

export async function updatePassword(db: Executor, userId: string, passwordHash: string): Promise<void> {
  await db
    .updateTable('users')
    .set({ password_hash: passwordHash, must_change_password: false })
    .where('id', '=', userId)
    .execute();
}

export async function insertSession(
  db: Executor,
  session: { hash: string; userId: string; expiresAtMs: number },
): Promise<string> {
  const id = newId('ses');
  await db
    .insertInto('sessions')
    .values({
      id,
      hash: session.hash,
      user_id: session.userId,
      created_at: new Date(),
      expires_at: new Date(session.expiresAtMs),
    })
    .execute();
  return id;
}

const sessionsWithUsers = (db: Executor, nowMs: number) =>
  db
    .selectFrom('sessions')
    .innerJoin('users', 'users.id', 'sessions.user_id')
    .select(['sessions.id as session_id', 'sessions.hash', 'sessions.expires_at', ...userColumns])
    .where('sessions.expires_at', '>', new Date(nowMs));

type SessionRow = Awaited<ReturnType<ReturnType<typeof sessionsWithUsers>['execute']>>[number];
const toSession = (row: SessionRow): SessionRecord => ({
  id: row.session_id,
  hash: row.hash,
  expiresAtMs: row.expires_at.getTime(),
  user: userRow.parse(row),
});

/** A session that has not ended, with its user as it is now. */
export async function findSession(db: Executor, hash: string, nowMs: number): Promise<SessionRecord | null> {
  const row = await sessionsWithUsers(db, nowMs).where('sessions.hash', '=', hash).executeTakeFirst();
  return row ? toSession(row) : null;
}

export async function listSessions(db: Executor, nowMs: number): Promise<SessionRecord[]> {
  return (await sessionsWithUsers(db, nowMs).execute()).map(toSession);
}

export async function deleteSession(db: Executor, id: string): Promise<void> {
  await db.deleteFrom('sessions').where('id', '=', id).execute();
}

/** Ends all sessions of a user but one. */
export async function deleteOtherSessions(db: Executor, userId: string, exceptId: string): Promise<void> {
  await db.deleteFrom('sessions').where('user_id', '=', userId).where('id', '!=', exceptId).execute();
}

export async function deleteEndedSessions(db: Executor, nowMs: number): Promise<void> {
  await db.deleteFrom('sessions').where('expires_at', '<=', new Date(nowMs)).execute();
}
