import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';
import { imageRole } from '../contract/system.ts';
import { digestPattern } from './image-reference.ts';

export const billName = 'manifest.json';
export const formatVersion = 1;

const digest = z.string().regex(digestPattern);
/** A file of the package stands directly in its folder: a name that could lead elsewhere is refused. */
const fileName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,200}$/);

export const billImage = z.object({
  key: z.string(),
  reference: z.string().max(512),
  file: fileName,
  role: imageRole,
  purpose: z.string(),
  platform: z.string(),
  /** What the tag pointed to upstream, where that was an index of several platforms. */
  index_digest: digest.nullable(),
  manifest_digest: digest,
  config_digest: digest,
  /** The layers unpacked: the one identity that every image store shows. */
  diff_ids: z.array(digest).max(1000),
  sizeBytes: z.number().int().min(0),
});
export type BillImage = z.infer<typeof billImage>;

/** manifest.json: what the package holds, every file with its size and SHA-256. */
export const bill = z.object({
  format_version: z.literal(formatVersion),
  cortex_version: z.string(),
  created_at: z.iso.datetime(),
  platform: z.string(),
  images: z.array(billImage).max(1000),
  files: z
    .array(z.object({ name: fileName, sizeBytes: z.number().int().min(0), sha256: z.string().regex(/^[0-9a-f]{64}$/) }))
    .max(10_000),
});
export type Bill = z.infer<typeof bill>;

const longestBillBytes = 16 * 1024 * 1024;

/** @throws CortexError bill_invalid */
export function parseBill(text: string, file: string): Bill {
  const refuse = (reason: string, cause?: unknown) => new CortexError('bill_invalid', { file, reason }, { cause });
  if (text.length > longestBillBytes) throw refuse('it is far too large');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw refuse('it is not JSON', cause);
  }
  const parsed = bill.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw refuse(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}`);
}

/** The bill of a package folder, or null where there is none. @throws CortexError bill_invalid */
export async function readBill(dir: string): Promise<Bill | null> {
  const path = join(dir, billName);
  try {
    return parseBill(await readFile(path, 'utf8'), path);
  } catch (error) {
    if (Object(error).code === 'ENOENT' || Object(error).code === 'ENOTDIR') return null;
    throw error;
  }
}
