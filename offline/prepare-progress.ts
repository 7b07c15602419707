import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Bill } from './bill.ts';
import { sha256OfFile, writeDurably } from './durable-file.ts';
import { inParallel } from './in-parallel.ts';

export const progressName = '.prepare.json';
const filesAtOnce = 2;

/** What an interrupted prepare had done: archives that are whole, and the layers of those that are not. */
const progress = z.object({
  done: z.record(z.string(), z.object({ manifest: z.string(), sizeBytes: z.number(), sha256: z.string() })),
  partial: z.record(z.string(), z.object({ manifest: z.string(), layers: z.array(z.string()) })),
});
export type Progress = z.infer<typeof progress>;

/**
 * A finished package tells by its bill what is there; an interrupted one by its progress file. Only what still has its sum
 * counts: an archive that was altered since is fetched again rather than carried across the gap.
 */
export async function readProgress(outputDir: string, before: Bill | null): Promise<Progress> {
  const kept = await readFile(join(outputDir, progressName), 'utf8')
    .then((text) => progress.parse(JSON.parse(text)))
    .catch((): Progress => ({ done: {}, partial: {} }));
  for (const { file, manifest_digest: manifest } of before?.images ?? []) {
    const billed = before?.files.find(({ name }) => name === file);
    if (billed !== undefined) kept.done[file] ??= { manifest, sizeBytes: billed.sizeBytes, sha256: billed.sha256 };
  }
  await inParallel(Object.entries(kept.done), filesAtOnce, async ([file, { sizeBytes, sha256 }]) => {
    const path = join(outputDir, file);
    const found = await stat(path).catch(() => null);
    if (found?.size !== sizeBytes || (await sha256OfFile(path)) !== sha256) delete kept.done[file];
  });
  return kept;
}

/** Saves the progress one after the other, so that two finished layers don't write the same file at once. */
export function progressSaver(outputDir: string, done: Progress): () => Promise<void> {
  let last = Promise.resolve();
  return () => {
    last = last.then(() => writeDurably(join(outputDir, progressName), Buffer.from(JSON.stringify(done))));
    return last;
  };
}
