import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';
import { fileName } from './bill.ts';
import { sha256OfFile } from './durable-file.ts';

// The layout of the Python Cortex's bundles: images.json names docker save archives, models/<served>/files/ holds models.
const images = z
  .array(
    z.object({
      ref: z.string().max(512),
      file: fileName,
      sha256: z
        .string()
        .regex(/^[0-9a-f]{64}$/)
        .nullish(),
    }),
  )
  .max(1000);

export interface Bundle {
  readonly archives: readonly string[];
  readonly models: readonly { readonly path: string; readonly name: string }[];
}

/**
 * A bundle of the predecessor. Its sums did not cover its own lists, and its names were not checked: here every name has to be
 * plain and every sum that it gives has to fit. @throws CortexError bundle_invalid, package_file_*
 */
export async function readBundle(dir: string): Promise<Bundle> {
  const file = join(dir, 'images.json');
  const text = await readFile(file, 'utf8').catch(() => null);
  if (text === null) throw new CortexError('bill_invalid', { file, reason: 'it is not there, so this is no bundle' });
  const parsed = images.safeParse(parseJson(text));
  if (!parsed.success)
    throw new CortexError('bill_invalid', {
      file,
      reason: parsed.error.issues[0]?.message ?? 'it is not a list of images',
    });
  const archives: string[] = [];
  for (const image of parsed.data) {
    const path = join(dir, image.file);
    if ((await stat(path).catch(() => null)) === null)
      throw new CortexError('package_file_missing', { file: image.file });
    if (image.sha256 && (await sha256OfFile(path)) !== image.sha256)
      throw new CortexError('package_file_altered', {
        file: image.file,
        detail: 'its SHA-256 is not the one in images.json.',
      });
    archives.push(path);
  }
  const models: Bundle['models'][number][] = [];
  for (const entry of await readdir(join(dir, 'models'), { withFileTypes: true }).catch(() => [])) {
    if (!entry.isDirectory() || !fileName.safeParse(entry.name).success) continue;
    models.push({ path: join(dir, 'models', entry.name, 'files'), name: entry.name });
  }
  return { archives, models };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
