import { type Kysely, type Migration, Migrator, sql } from 'kysely';
import { CortexError } from '../../../contract/errors.ts';
import { foundation } from './migrations/2026-11-23-foundation.ts';
import { usageDetail } from './migrations/2026-11-24-usage-detail.ts';
import { usageRollups } from './migrations/2026-11-24-usage-rollups.ts';
import { routing } from './migrations/2026-11-25-routing.ts';
import { changeNotices } from './migrations/2026-11-26-change-notices.ts';
import { memoryReports } from './migrations/2026-11-27-memory-reports.ts';
import { modelVersions } from './migrations/2026-11-27-model-versions.ts';
import { recipes } from './migrations/2026-11-27-recipes.ts';
import { replicas } from './migrations/2026-11-27-replicas.ts';
import { downloads } from './migrations/2026-11-28-downloads.ts';
import { onDemand } from './migrations/2026-11-28-on-demand.ts';
import { trials } from './migrations/2026-11-28-trials.ts';
import { writeNotices } from './migrations/2026-11-28-write-notices.ts';
import type { Database } from './schema.ts';

/**
 * In the order of their names, as Kysely runs them. A migration that has left the house is never changed: add another one,
 * with a name that comes last.
 */
const migrations: readonly (readonly [string, Migration])[] = [
  ['2026-11-23-foundation', foundation],
  ['2026-11-24-usage-detail', usageDetail],
  ['2026-11-24-usage-rollups', usageRollups],
  ['2026-11-25-routing', routing],
  ['2026-11-26-change-notices', changeNotices],
  ['2026-11-27-model-versions', modelVersions],
  ['2026-11-27-memory-reports', memoryReports],
  ['2026-11-27-recipes', recipes],
  ['2026-11-27-replicas', replicas],
  ['2026-11-28-downloads', downloads],
  ['2026-11-28-on-demand', onDemand],
  ['2026-11-28-trials', trials],
  ['2026-11-28-write-notices', writeNotices],
];

/**
 * Brings the schema up to this version; forward only.
 * @throws CortexError schema_newer where a newer Cortex has written the database
 */
export async function migrate(
  db: Kysely<Database>,
  known: readonly (readonly [string, Migration])[] = migrations,
): Promise<void> {
  const names = new Set(known.map(([name]) => name));
  for (const name of await appliedNames(db)) {
    if (!names.has(name)) throw new CortexError('schema_newer', { found: name });
  }
  const migrator = new Migrator({ db, provider: { getMigrations: async () => Object.fromEntries(known) } });
  const { error } = await migrator.migrateToLatest();
  if (error) throw error;
}

async function appliedNames(db: Kysely<Database>): Promise<string[]> {
  const table = await sql<{ found: string | null }>`select to_regclass('kysely_migration')::text as found`.execute(db);
  if (!table.rows[0]?.found) return [];
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db);
  return rows.map((row) => row.name);
}
