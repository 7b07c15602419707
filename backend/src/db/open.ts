import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { CortexError } from '../../../contract/errors.ts';
import { lockFolder } from './folder-lock.ts';
import { migrate } from './migrations.ts';
import { embeddedDialect } from './pglite-dialect.ts';
import type { Database } from './schema.ts';

/** Where the database is: a Postgres server by URL, or embedded in a folder (null: in memory, for tests). */
export type DatabasePlace = { readonly url: string } | { readonly dataDir: string | null };

export interface OpenDatabase {
  readonly db: Kysely<Database>;
  readonly kind: 'embedded' | 'postgres';
  close(): Promise<void>;
}

/**
 * Opens the database and brings its schema up to date.
 * @param onIdleError told of a pooled connection that broke while nobody used it
 * @throws CortexError database_unavailable, schema_newer
 */
export async function openDatabase(
  place: DatabasePlace,
  onIdleError: (error: Error) => void = () => undefined,
): Promise<OpenDatabase> {
  const release = 'url' in place || place.dataDir === null ? () => undefined : lock(place.dataDir);
  const db = new Kysely<Database>({
    dialect: 'url' in place ? server(place.url, onIdleError) : embedded(place.dataDir),
  });
  const close = async () => {
    await db.destroy();
    release();
  };
  try {
    await sql`select 1`.execute(db);
    await migrate(db);
  } catch (error) {
    await close();
    if (error instanceof CortexError) throw error;
    throw new CortexError('database_unavailable', { reason: reasonOf(error) }, { cause: error });
  }
  return { db, kind: 'url' in place ? 'postgres' : 'embedded', close };
}

function lock(dataDir: string): () => void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  return lockFolder(dataDir);
}

function embedded(dataDir: string | null) {
  return embeddedDialect(dataDir === null ? null : join(dataDir, 'database'));
}

function server(url: string, onIdleError: (error: Error) => void): PostgresDialect {
  const pool = new pg.Pool({
    connectionString: url,
    max: 10,
    connectionTimeoutMillis: 10_000,
    types: { getTypeParser },
  });
  // Without a listener a broken idle connection would end the process.
  pool.on('error', onIdleError);
  // The same for one in use between two queries; the next query tells of it.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return new PostgresDialect({ pool });
}

// int8 and numeric come as numbers on both drivers: counts stay far below 2^53.
const getTypeParser: typeof pg.types.getTypeParser = (oid: number, format?: 'text' | 'binary') =>
  oid === 20 || oid === 1700 ? Number : pg.types.getTypeParser(oid, format as 'text');

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return error.errors[0].message;
  return error instanceof Error ? error.message : String(error);
}

/** Postgres's codes for a value that can't be read as what it should be, or is not there. */
export const isDataFault = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (/^22/.test(String(error.code)) || error.code === '23502');

/** Postgres's code for a value that must be unique and is not. */
export const isUniqueViolation = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === '23505';
