import { createHash } from 'node:crypto';
import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';
import { imageRole } from '../contract/system.ts';
import { digestPattern } from './image-reference.ts';

export const billName = 'manifest.json';
export const signatureName = 'manifest.json.sig';
export const checksumsName = 'checksums.txt';
export const publicKeyName = 'signing-key.pub';
export const readmeName = 'README.txt';
export const formatVersion = 2;
/**
 * The unit of checking and of repair. Small enough that the loader holds one chunk for each stream and stays below 200 MB,
 * large enough that the sums of 20 GB are 340 kB of the bill.
 */
export const chunkBytes = 4 * 1024 * 1024;

const digest = z.string().regex(digestPattern);
const sum = z.string().regex(/^[0-9a-f]{64}$/);
const size = z.number().int().min(0);
const namePart = /^[A-Za-z0-9_][A-Za-z0-9._+@=,-]{0,200}$/;
/** A file's name inside the package, with / between folders. A name that could lead elsewhere is refused. */
export const fileName = z
  .string()
  .max(512)
  .refine((name) => name.split('/').every((part) => namePart.test(part)), 'not a plain file name');

const blobPlace = z.object({
  digest,
  sizeBytes: size,
  /** The package file that holds it; null where the base of a delta has it. */
  file: fileName.nullable(),
  offset: size,
});
export type BlobPlace = z.infer<typeof blobPlace>;

export const billImage = z.object({
  key: z.string().max(64),
  reference: z.string().max(512),
  file: fileName,
  role: imageRole,
  purpose: z.string().max(512),
  platform: z.string().max(64),
  /** What the tag pointed to upstream, where that was an index of several platforms; its bytes are kept as evidence. */
  index_digest: digest.nullable(),
  manifest_digest: digest,
  manifest_media_type: z.string().max(128),
  config_digest: digest,
  /** The layers unpacked: the one identity that every image store shows. */
  diff_ids: z.array(digest).max(1000),
  sizeBytes: size,
  /** Manifest, configuration and layers, in this order; empty in format 1. */
  blobs: z.array(blobPlace).max(1002),
});
export type BillImage = z.infer<typeof billImage>;

export const billModel = z.object({
  /** The folder that it gets below CORTEX_MODELS_DIR. */
  name: fileName,
  /** `hf:org/name` or `path`. */
  source: z.string().max(512),
  revision: z.string().max(128).nullable(),
  licence: z.string().max(128).nullable(),
  /** Names inside the folder, with the sum of each: what a delta leaves out is in the base. */
  files: z.array(z.object({ path: fileName, sizeBytes: size, sha256: sum, packed: z.boolean() })).max(10_000),
});
export type BillModel = z.infer<typeof billModel>;

export const billFile = z.object({
  name: fileName,
  sizeBytes: size,
  sha256: sum,
  /** SHA-256 of each `chunk_bytes` piece; empty where the file is not longer than one. */
  chunks: z.array(sum).max(2_000_000),
  /** Where a package has several volumes: the pieces in order. */
  pieces: z
    .array(z.object({ volume: z.number().int().min(1), name: fileName, sizeBytes: size }))
    .max(10_000)
    .optional(),
});
export type BillFile = z.infer<typeof billFile>;

/** manifest.json: what the package holds, to the last byte. Its signature covers everything through these sums. */
export const bill = z.object({
  format_version: z.literal(formatVersion),
  /** Features that a reader has to know. One that it does not know is a reason to refuse. */
  critical: z.array(z.string().max(64)).max(64),
  /** SHA-256 of this document with an empty package_id. */
  package_id: z.string().regex(/^[0-9a-f]{64}$/),
  /** Grows with every package that a site prepares: an older one is not loaded over a newer one by mistake. */
  sequence: z.number().int().min(0),
  created_at: z.iso.datetime(),
  cortex_version: z.string().max(64),
  platforms: z.array(z.string().max(64)).min(1).max(16),
  base: z
    .object({ kind: z.enum(['package', 'inventory']), id: z.string().max(64), created_at: z.iso.datetime() })
    .nullable(),
  chunk_bytes: z
    .number()
    .int()
    .min(4096)
    .max(64 * 1024 * 1024),
  volumes: z.number().int().min(1).max(9999),
  images: z.array(billImage).max(1000),
  models: z.array(billModel).max(1000),
  files: z.array(billFile).max(100_000),
});
export type Bill = z.infer<typeof bill>;

/** What this version knows of `critical`. */
const knownFeatures = new Set(['delta', 'volumes', 'dedupe']);

const billV1 = z.object({
  format_version: z.literal(1),
  cortex_version: z.string(),
  created_at: z.iso.datetime(),
  platform: z.string(),
  images: z.array(billImage.omit({ blobs: true, manifest_media_type: true })).max(1000),
  files: z.array(billFile.pick({ name: true, sizeBytes: true, sha256: true })).max(10_000),
});

const longestBillBytes = 256 * 1024 * 1024;

/** The document as it is written and signed: equal content gives equal bytes. */
export const renderBill = (value: Bill): Buffer => Buffer.from(`${JSON.stringify(value, null, 1)}\n`);

/** Gives a bill its identity. */
export function sealBill(value: Omit<Bill, 'package_id'>): Bill {
  const ordered = bill.parse({ ...value, package_id: '0'.repeat(64) });
  return { ...ordered, package_id: identityOf(renderBill(ordered).toString('utf8'), ordered.package_id) };
}

// Over the text, so that fields which a newer version added are covered too.
const identityOf = (text: string, packageId: string) =>
  createHash('sha256')
    .update(text.replace(`"package_id": "${packageId}"`, '"package_id": ""'))
    .digest('hex');

/** Reads this format and the one before. @throws CortexError bill_invalid */
export function parseBill(bytes: Buffer, file: string): Bill {
  const refuse = (reason: string, cause?: unknown) => new CortexError('bill_invalid', { file, reason }, { cause });
  if (bytes.length > longestBillBytes) throw refuse('it is far too large');
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw refuse('it is not JSON', cause);
  }
  const version: unknown = Object(json).format_version;
  const parsed = version === 1 ? billV1.safeParse(json) : bill.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw refuse(`${issue?.path.join('.') || 'the document'}: ${issue?.message ?? 'not valid'}`);
  }
  if (parsed.data.format_version === 1) return fromV1(parsed.data, bytes);
  const unknown = parsed.data.critical.filter((feature) => !knownFeatures.has(feature));
  if (unknown.length > 0) throw refuse(`it needs ${unknown.join(', ')}, which this version of Cortex does not know`);
  if (identityOf(bytes.toString('utf8'), parsed.data.package_id) !== parsed.data.package_id)
    throw refuse('its package_id is not the sum of its content');
  const problem = contradictionIn(parsed.data);
  if (problem !== null) throw refuse(problem);
  return parsed.data;
}

function fromV1({ platform, images, files, ...rest }: z.infer<typeof billV1>, bytes: Buffer): Bill {
  return {
    ...rest,
    format_version: formatVersion,
    critical: [],
    package_id: createHash('sha256').update(bytes).digest('hex'),
    sequence: 0,
    platforms: [platform],
    base: null,
    chunk_bytes: chunkBytes,
    volumes: 1,
    images: images.map((image) => ({ ...image, manifest_media_type: '', blobs: [] })),
    models: [],
    files: files.map((entry) => ({ ...entry, chunks: [] })),
  };
}

/** What a schema can't say: names are unique, sums are there for each chunk, blobs lie inside their files. */
function contradictionIn(value: Bill): string | null {
  const files = new Map(value.files.map((file) => [file.name, file]));
  if (files.size !== value.files.length) return 'it names a file twice';
  for (const file of value.files) {
    const chunks = file.sizeBytes > value.chunk_bytes ? Math.ceil(file.sizeBytes / value.chunk_bytes) : 0;
    if (file.chunks.length !== chunks)
      return `${file.name} has ${file.chunks.length} sums of chunks instead of ${chunks}`;
    const pieces = file.pieces?.reduce((total, piece) => total + piece.sizeBytes, 0) ?? file.sizeBytes;
    if (pieces !== file.sizeBytes) return `the pieces of ${file.name} do not make it whole`;
    if (file.pieces?.some(({ volume }) => volume > value.volumes))
      return `${file.name} names a volume that is not there`;
  }
  for (const image of value.images) {
    for (const blob of image.blobs) {
      if (blob.file === null) continue;
      const holder = files.get(blob.file);
      if (holder === undefined || blob.offset + blob.sizeBytes > holder.sizeBytes)
        return `${image.reference} has a layer that is in no file of the package`;
    }
  }
  return null;
}
