import { z } from 'zod';
import { type ApiKey, type NewApiKey, network, scope } from '../../../contract/keys.ts';
import { newId } from './ids.ts';
import type { Executor } from './schema.ts';

export interface KeyRecord {
  readonly id: string;
  readonly name: string;
  readonly hash: string;
  readonly userId: string;
  readonly organizationId: string;
  readonly scopes: ApiKey['scopes'];
  readonly models: readonly string[] | null;
  readonly networks: readonly string[] | null;
  readonly expiresAtMs: number | null;
}

const storedScopes = z.array(scope);
const storedModels = z.array(z.string()).nullable();
const storedNetworks = z.array(network).nullable();

export async function insertKey(
  db: Executor,
  key: NewApiKey & { hash: string; prefix: string; userId: string; organizationId: string },
): Promise<string> {
  const id = newId('key');
  await db
    .insertInto('api_keys')
    .values({
      id,
      organization_id: key.organizationId,
      user_id: key.userId,
      name: key.name,
      prefix: key.prefix,
      hash: key.hash,
      scopes: JSON.stringify(key.scopes),
      models: key.models === null ? null : JSON.stringify(key.models),
      networks: key.networks === null ? null : JSON.stringify(key.networks),
      created_at: new Date(),
      expires_at: key.expires_at,
      revoked_at: null,
    })
    .execute();
  return id;
}

const shownKeys = (db: Executor) =>
  db
    .selectFrom('api_keys')
    .innerJoin('users', 'users.id', 'api_keys.user_id')
    .leftJoin(
      (e) =>
        e
          .selectFrom('usage_daily')
          .select((u) => [
            'usage_daily.key_id',
            u.fn.sum<number>('usage_daily.requests').as('requests'),
            u.fn.max('usage_daily.last_at').as('last_used_at'),
          ])
          .groupBy('usage_daily.key_id')
          .as('used'),
      (join) => join.onRef('used.key_id', '=', 'api_keys.id'),
    )
    .select([
      'api_keys.id',
      'api_keys.name',
      'api_keys.prefix',
      'api_keys.scopes',
      'api_keys.models',
      'api_keys.networks',
      'api_keys.created_at',
      'api_keys.expires_at',
      'api_keys.revoked_at',
      'users.username as owner',
      'used.requests',
      'used.last_used_at',
    ]);

type ShownRow = Awaited<ReturnType<ReturnType<typeof shownKeys>['execute']>>[number];
const toApiKey = (row: ShownRow): ApiKey => ({
  id: row.id,
  name: row.name,
  prefix: row.prefix,
  owner: row.owner,
  scopes: storedScopes.parse(row.scopes),
  models: storedModels.parse(row.models),
  networks: storedNetworks.parse(row.networks),
  created_at: row.created_at.toISOString(),
  expires_at: row.expires_at?.toISOString() ?? null,
  revoked_at: row.revoked_at?.toISOString() ?? null,
  last_used_at: row.last_used_at?.toISOString() ?? null,
  requests: row.requests ?? 0,
});

/** All keys with how much they were used, newest first. */
export async function listKeys(db: Executor): Promise<ApiKey[]> {
  return (await shownKeys(db).orderBy('api_keys.created_at', 'desc').execute()).map(toApiKey);
}

export async function findKey(db: Executor, id: string): Promise<ApiKey | null> {
  const row = await shownKeys(db).where('api_keys.id', '=', id).executeTakeFirst();
  return row ? toApiKey(row) : null;
}

/** Marks a key as revoked; one that is already keeps its time. */
export async function revokeKey(db: Executor, id: string): Promise<void> {
  await db
    .updateTable('api_keys')
    .set({ revoked_at: new Date() })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .execute();
}

/** Keys that are not revoked. Expired ones are in it: the gateway says of those that they have expired. */
export async function listLiveKeys(db: Executor): Promise<KeyRecord[]> {
  const rows = await db.selectFrom('api_keys').selectAll().where('revoked_at', 'is', null).execute();
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    hash: row.hash,
    userId: row.user_id,
    organizationId: row.organization_id,
    scopes: storedScopes.parse(row.scopes),
    models: storedModels.parse(row.models),
    networks: storedNetworks.parse(row.networks),
    expiresAtMs: row.expires_at?.getTime() ?? null,
  }));
}
