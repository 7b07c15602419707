import { z } from 'zod';
import { newId } from './ids.ts';
import type { Executor } from './schema.ts';

const row = z.object({
  id: z.string(),
  repository: z.string(),
  commit: z.string(),
  licence: z.string().nullable(),
  folder: z.string(),
  files: z.array(z.object({ path: z.string(), sizeBytes: z.number() })),
  username: z.string(),
  state: z.enum(['downloading', 'done', 'cancelled', 'failed']),
  error: z.object({ message: z.string(), hint: z.string() }).nullable(),
  started_at: z.date(),
  ended_at: z.date().nullable(),
});
/** A download as it is kept over restarts; how far it is, its files tell. */
export type DownloadRecord = z.output<typeof row>;

type Ending = Pick<DownloadRecord, 'state' | 'error' | 'ended_at'>;

/** Newest first. */
export async function listDownloads(db: Executor): Promise<DownloadRecord[]> {
  const rows = await db.selectFrom('downloads').selectAll().orderBy('started_at', 'desc').limit(200).execute();
  return rows.map((stored) => row.parse(stored));
}

export async function insertDownload(
  db: Executor,
  fresh: Omit<DownloadRecord, 'id' | 'state' | 'error' | 'started_at' | 'ended_at'>,
): Promise<DownloadRecord> {
  const stored = await db
    .insertInto('downloads')
    .values({
      ...fresh,
      id: newId('dwn'),
      files: JSON.stringify(fresh.files),
      state: 'downloading',
      error: null,
      started_at: new Date(),
      ended_at: null,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  return row.parse(stored);
}

export async function updateDownload(db: Executor, id: string, { state, error, ended_at }: Ending): Promise<void> {
  await db
    .updateTable('downloads')
    .set({ state, error: error === null ? null : JSON.stringify(error), ended_at })
    .where('id', '=', id)
    .execute();
}

export async function deleteDownload(db: Executor, id: string): Promise<void> {
  await db.deleteFrom('downloads').where('id', '=', id).execute();
}

/** Sealed; null where none is kept for this hub. */
export async function readHubToken(db: Executor, endpoint: string): Promise<string | null> {
  const found = await db.selectFrom('hub_token').select('sealed').where('endpoint', '=', endpoint).executeTakeFirst();
  return found?.sealed ?? null;
}

export async function writeHubToken(db: Executor, endpoint: string, sealed: string | null): Promise<void> {
  if (sealed === null) await db.deleteFrom('hub_token').where('endpoint', '=', endpoint).execute();
  else
    await db
      .insertInto('hub_token')
      .values({ endpoint, sealed })
      .onConflict((conflict) => conflict.column('endpoint').doUpdateSet({ sealed }))
      .execute();
}
