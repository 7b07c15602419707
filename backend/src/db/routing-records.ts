import { z } from 'zod';
import { CortexError } from '../../../contract/errors.ts';
import {
  type Alias,
  alias,
  type LimitedSubject,
  limit,
  limitSubject,
  newEndpoint,
  type ServingSettings,
  type SubjectLimit,
  servingSettings,
} from '../../../contract/routing.ts';
import { newId } from './ids.ts';
import { isUniqueViolation } from './open.ts';
import type { Executor } from './schema.ts';

/** An external endpoint as it is kept; its key is sealed. */
const storedEndpoint = newEndpoint.omit({ api_key: true }).extend({
  id: z.string(),
  api_key: z.string().nullable(),
  created_at: z.date(),
});
export type StoredEndpoint = z.output<typeof storedEndpoint>;

export async function listAliases(db: Executor): Promise<Alias[]> {
  const rows = await db.selectFrom('aliases').selectAll().orderBy('name').execute();
  return rows.map((row) => alias.parse(row));
}

/** Makes the alias, or gives it other targets. */
export async function putAlias(db: Executor, { name, targets }: Alias): Promise<void> {
  const value = JSON.stringify(targets);
  await db
    .insertInto('aliases')
    .values({ name, targets: value })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ targets: value }))
    .execute();
}

/** Tells whether there was one. */
export async function deleteAlias(db: Executor, name: string): Promise<boolean> {
  const result = await db.deleteFrom('aliases').where('name', '=', name).executeTakeFirst();
  return result.numDeletedRows > 0n;
}

export async function listEndpoints(db: Executor): Promise<StoredEndpoint[]> {
  const rows = await db.selectFrom('endpoints').selectAll().orderBy('created_at').orderBy('id').execute();
  return rows.map((row) => storedEndpoint.parse(row));
}

/** @throws CortexError conflict where another endpoint has the name */
export async function insertEndpoint(
  db: Executor,
  endpoint: Omit<StoredEndpoint, 'id' | 'created_at'>,
): Promise<StoredEndpoint> {
  const stored = { ...endpoint, id: newId('end'), created_at: new Date() };
  try {
    await db.insertInto('endpoints').values(stored).execute();
  } catch (cause) {
    throw nameTaken(endpoint.name, cause);
  }
  return stored;
}

/** @throws CortexError conflict where another endpoint has the name */
export async function updateEndpoint(db: Executor, { id, created_at: _, ...change }: StoredEndpoint): Promise<void> {
  try {
    await db.updateTable('endpoints').set(change).where('id', '=', id).execute();
  } catch (cause) {
    throw nameTaken(change.name, cause);
  }
}

function nameTaken(name: string, cause: unknown): unknown {
  if (!isUniqueViolation(cause)) return cause;
  return new CortexError('conflict', { detail: `Another endpoint is called '${name}'.` }, { cause, param: 'name' });
}

export async function findEndpoint(db: Executor, id: string): Promise<StoredEndpoint | null> {
  const row = await db.selectFrom('endpoints').selectAll().where('id', '=', id).executeTakeFirst();
  return row === undefined ? null : storedEndpoint.parse(row);
}

/** Tells whether there was one. */
export async function deleteEndpoint(db: Executor, id: string): Promise<boolean> {
  const result = await db.deleteFrom('endpoints').where('id', '=', id).executeTakeFirst();
  return result.numDeletedRows > 0n;
}

const storedLimit = limit.extend({ subject: limitSubject, subject_id: z.string() });

export async function listLimits(db: Executor): Promise<SubjectLimit[]> {
  const rows = await db.selectFrom('limits').selectAll().orderBy('subject').orderBy('subject_id').execute();
  return rows.map((row) => {
    const { subject_id: id, ...rest } = storedLimit.parse(row);
    return { ...rest, id };
  });
}

/** Sets a subject's limits; one without any is removed. */
export async function putLimit(db: Executor, { id, subject, ...values }: SubjectLimit): Promise<void> {
  if (Object.values(values).every((value) => value === null)) {
    await db.deleteFrom('limits').where('subject', '=', subject).where('subject_id', '=', id).execute();
    return;
  }
  await db
    .insertInto('limits')
    .values({ subject, subject_id: id, ...values })
    .onConflict((conflict) => conflict.columns(['subject', 'subject_id']).doUpdateSet(values))
    .execute();
}

type Subject = Pick<LimitedSubject, 'subject' | 'id' | 'name' | 'detail'>;

/** Keys that are not revoked, users and organisations, by name. */
export async function listLimitSubjects(db: Executor): Promise<Subject[]> {
  const keys = await db
    .selectFrom('api_keys')
    .select(['id', 'name', 'prefix'])
    .where('revoked_at', 'is', null)
    .orderBy('name')
    .orderBy('id')
    .execute();
  const users = await db.selectFrom('users').select(['id', 'username']).orderBy('username').execute();
  const organizations = await db.selectFrom('organizations').select(['id', 'name']).orderBy('name').execute();
  return [
    ...keys.map(({ id, name, prefix }) => ({ subject: 'key' as const, id, name, detail: `${prefix}…` })),
    ...users.map(({ id, username }) => ({ subject: 'user' as const, id, name: username, detail: null })),
    ...organizations.map(({ id, name }) => ({ subject: 'organization' as const, id, name, detail: null })),
  ];
}

/** The names of keys that were revoked, for limits that are left of them. */
export async function keyNames(db: Executor, ids: readonly string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map();
  const rows = await db.selectFrom('api_keys').select(['id', 'name']).where('id', 'in', ids).execute();
  return new Map(rows.map(({ id, name }) => [id, name]));
}

export async function listServing(db: Executor): Promise<Record<string, ServingSettings>> {
  const rows = await db.selectFrom('serving').selectAll().execute();
  return Object.fromEntries(rows.map((row) => [row.served_name, servingSettings.parse(row.settings)]));
}

export async function putServing(db: Executor, servedName: string, settings: ServingSettings): Promise<void> {
  const value = JSON.stringify(settings);
  await db
    .insertInto('serving')
    .values({ served_name: servedName, settings: value })
    .onConflict((conflict) => conflict.column('served_name').doUpdateSet({ settings: value }))
    .execute();
}
