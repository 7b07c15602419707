import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ModelSource, modelSourceFile } from '../contract/model-source.ts';
import type { BillModel } from './bill.ts';
import { writeDurably } from './durable-file.ts';

/**
 * Writes beside a model where it came from, so that the server can show it when the package is gone. A package that does
 * not know it leaves what is there.
 */
export async function writeModelSource(
  folder: string,
  { source, revision, licence }: Pick<BillModel, 'source' | 'revision' | 'licence'>,
): Promise<void> {
  const repository = source.startsWith('hf:') ? source.slice('hf:'.length) : null;
  if (repository === null && revision === null && licence === null) return;
  const written: ModelSource = { repository, revision, licence };
  const text = `${JSON.stringify(written, null, 2)}\n`;
  const path = join(folder, modelSourceFile);
  // A models folder may be read-only where everything is there already.
  if ((await readFile(path, 'utf8').catch(() => null)) !== text) await writeDurably(path, Buffer.from(text));
}
