import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';
import { writeDurably } from './durable-file.ts';
import { digestPattern } from './image-reference.ts';

export const lockName = 'cortex-offline.lock.json';

const digest = z.string().regex(digestPattern);
const lockedImage = z.object({
  reference: z.string().max(512),
  platform: z.string().max(64),
  index_digest: digest.nullable(),
  manifest_digest: digest,
  config_digest: digest,
});
export type LockedImage = z.infer<typeof lockedImage>;

/** What every tag meant when a package was made: with it, `--locked` makes the same package again, byte for byte. */
export const lock = z.object({
  lock_version: z.literal(1),
  sequence: z.number().int().min(0),
  created_at: z.iso.datetime(),
  images: z.array(lockedImage).max(10_000),
  models: z.array(z.object({ source: z.string(), revision: z.string() })).max(1000),
});
export type Lock = z.infer<typeof lock>;

/** @returns null where there is none. @throws CortexError lock_invalid */
export async function readLock(file: string): Promise<Lock | null> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (Object(error).code === 'ENOENT') return null;
    throw error;
  });
  if (text === null) return null;
  try {
    return lock.parse(JSON.parse(text));
  } catch (cause) {
    throw new CortexError('lock_invalid', { file }, { cause });
  }
}

export const writeLock = (file: string, value: Lock): Promise<void> =>
  writeDurably(file, Buffer.from(`${JSON.stringify(value, null, 2)}\n`));

export const lockedFor = (value: Lock, reference: string, platform: string): LockedImage | undefined =>
  value.images.find((image) => image.reference === reference && image.platform === platform);
