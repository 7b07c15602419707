import { createHash } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import { hostname, userInfo } from 'node:os';
import { dirname } from 'node:path';
import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';

/** One act on a package, as it is kept for auditors. */
export const receiptEntry = z.object({
  number: z.number().int().min(1),
  at: z.iso.datetime(),
  act: z.enum([
    'prepare',
    'verify',
    'load',
    'push',
    'serve',
    'trust',
    'backup',
    'restore',
    'rehearse',
    'repair',
    'prune',
  ]),
  operator: z.string(),
  host: z.string(),
  cortex_version: z.string(),
  /** The folders that were read or written. */
  media: z.array(z.string()),
  package_id: z.string().nullable(),
  sequence: z.number().int().nullable(),
  created_at: z.string().nullable(),
  /** The key that signed the package; null where nobody did. */
  key: z.string().nullable(),
  /** What was allowed that is refused by default: `allow-unsigned`, `allow-older`. */
  exceptions: z.array(z.string()),
  result: z.enum(['done', 'failed']),
  objects: z.array(z.object({ name: z.string(), result: z.string() })),
  /** SHA-256 of the line before; of nothing for the first. */
  previous: z.string(),
  /** SHA-256 of this entry with an empty `hash`. */
  hash: z.string(),
});
export type ReceiptEntry = z.infer<typeof receiptEntry>;
export type ReceiptContent = Omit<ReceiptEntry, 'number' | 'at' | 'operator' | 'host' | 'previous' | 'hash'>;

const sumOf = (text: string) => createHash('sha256').update(text).digest('hex');

/**
 * Appends to the log. Each line carries the sum of the one before, so that one can't be changed or taken out unseen; keep
 * the last hash elsewhere (export) to see that the end was not cut off.
 * @throws CortexError receipt_broken where the log was altered: nothing is written on top of that
 */
export async function appendReceipt(file: string, content: ReceiptContent): Promise<ReceiptEntry> {
  const entries = await readReceipts(file);
  const last = entries.at(-1);
  const unsealed: ReceiptEntry = {
    number: (last?.number ?? 0) + 1,
    at: new Date().toISOString(),
    operator: operatorName(),
    host: hostname(),
    ...content,
    previous: last?.hash ?? sumOf(''),
    hash: '',
  };
  const entry = { ...unsealed, hash: sumOf(JSON.stringify(receiptEntry.parse(unsealed))) };
  await mkdir(dirname(file), { recursive: true });
  const handle = await open(file, 'a', 0o644);
  try {
    await handle.appendFile(`${JSON.stringify(receiptEntry.parse(entry))}\n`);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  return entry;
}

/** The whole log, checked. @throws CortexError receipt_broken */
export async function readReceipts(file: string): Promise<ReceiptEntry[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (Object(error).code === 'ENOENT') return '';
    throw error;
  });
  return parseReceipts(text, file);
}

/** @throws CortexError receipt_broken with the first line that does not fit */
export function parseReceipts(text: string, file: string): ReceiptEntry[] {
  const entries: ReceiptEntry[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    if (raw === '') continue;
    const broken = (reason: string) => new CortexError('receipt_broken', { file, line: index + 1, reason });
    const parsed = receiptEntry.safeParse(parseJson(raw));
    if (!parsed.success) throw broken('is not an entry of the log');
    const entry = parsed.data;
    if (sumOf(JSON.stringify({ ...entry, hash: '' })) !== entry.hash) throw broken('was changed after it was written');
    const last = entries.at(-1);
    if (entry.previous !== (last?.hash ?? sumOf('')) || entry.number !== (last?.number ?? 0) + 1)
      throw broken('does not follow the one before it');
    entries.push(entry);
  }
  return entries;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** SUDO_USER names the person behind root. */
function operatorName(): string {
  if (process.env.SUDO_USER) return process.env.SUDO_USER;
  try {
    return userInfo().username;
  } catch {
    // In a container a user may have no name.
    return `uid ${process.getuid?.() ?? '?'}`;
  }
}
