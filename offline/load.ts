import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { CortexError } from '../contract/errors.ts';
import type { DockerEngine, ImageDetails } from '../docker/engine.ts';
import { type Bill, type BillImage, billName, readBill } from './bill.ts';
import { sha256OfFile, writeDurably } from './durable-file.ts';
import type { Report } from './events.ts';

export interface LoadOptions {
  readonly packageDir: string;
  /** Where the bill of what was loaded is kept, for readiness. */
  readonly receiptDir: string;
  readonly engine: DockerEngine;
  readonly report: Report;
  readonly signal?: AbortSignal;
}

export interface LoadResult {
  readonly loaded: number;
  readonly failures: readonly { readonly file: string; readonly error: CortexError }[];
}

/** @throws CortexError package_not_found, bill_invalid */
export async function needBill(packageDir: string): Promise<Bill> {
  const bill = await readBill(packageDir);
  if (bill === null) throw new CortexError('package_not_found', { dir: packageDir });
  return bill;
}

/**
 * Loads every image of a package that the Engine does not have yet. Nothing of an archive is offered to the Engine before
 * the whole of it was checked; an image counts as loaded when its identity is the bill's and a container can be made of it.
 * One bad archive does not hold up the others. The same command goes on where an interrupted one stopped.
 */
export async function loadPackage(options: LoadOptions): Promise<LoadResult> {
  const { packageDir, engine, report, signal } = options;
  const bill = await needBill(packageDir);
  const { architecture } = await engine.info();
  report({ kind: 'started', work: 'load', dir: packageDir });
  const failures: { file: string; error: CortexError }[] = [];
  for (const image of bill.images) {
    if (signal?.aborted) throw new CortexError('interrupted', {});
    report({ kind: 'file-started', file: image.file, sizeBytes: image.sizeBytes });
    try {
      checkPlatform(image, architecture);
      const note = await loadOne(image, bill, options);
      report({ kind: 'file-done', file: image.file, sizeBytes: image.sizeBytes, note });
    } catch (error) {
      if (!(error instanceof CortexError) || error.code === 'interrupted' || error.code === 'docker_unavailable')
        throw error;
      const { code, message, hint } = error;
      failures.push({ file: image.file, error });
      report({ kind: 'file-failed', file: image.file, sizeBytes: image.sizeBytes, code, message, hint });
    }
  }
  // The receipt says what is there: with a failure the one before stays.
  if (failures.length === 0) {
    await mkdir(options.receiptDir, { recursive: true });
    await writeDurably(join(options.receiptDir, billName), Buffer.from(`${JSON.stringify(bill, null, 2)}\n`));
  }
  const loaded = bill.images.length - failures.length;
  const totalBytes = bill.images.reduce((total, image) => total + image.sizeBytes, 0);
  report({ kind: 'finished', work: 'load', succeeded: loaded, failed: failures.length, totalBytes });
  return { loaded, failures };
}

// The Engine tells the kernel's word for the processor, images use Go's.
const architectures: Readonly<Record<string, string>> = { x86_64: 'amd64', aarch64: 'arm64' };

function checkPlatform(image: BillImage, engineArchitecture: string): void {
  const platform = `linux/${architectures[engineArchitecture] ?? engineArchitecture}`;
  if (image.platform !== platform)
    throw new CortexError('platform_missing', { image: image.reference, platform, available: image.platform });
}

async function loadOne(image: BillImage, bill: Bill, options: LoadOptions): Promise<'new' | 'present'> {
  const { engine, packageDir, report, signal } = options;
  if (isBilled(await engine.images.inspect(image.reference), image)) return 'present';
  await checkFile(packageDir, image.file, bill, (bytes) =>
    report({ kind: 'bytes', file: image.file, bytes: bytes / 2 }),
  );
  const archive = createReadStream(join(packageDir, image.file), { highWaterMark: 1024 * 1024 });
  const counted = Readable.from(
    counting(archive, (bytes) => report({ kind: 'bytes', file: image.file, bytes: bytes / 2 })),
  ).pipe(new PassThrough());
  const before = await engine.images.inspect(image.reference);
  try {
    await engine.images.load(counted, signal === undefined ? {} : { signal });
    const found = await engine.images.inspect(image.reference);
    if (!isBilled(found, image)) {
      const expected = image.config_digest;
      throw new CortexError('image_identity_wrong', {
        image: image.reference,
        expected,
        found: found?.id ?? 'nothing',
      });
    }
    await proveUsable(engine, image);
  } catch (error) {
    await dropBroken(engine, image, before);
    if (signal?.aborted) throw new CortexError('interrupted', {}, { cause: error });
    throw error;
  } finally {
    archive.destroy();
  }
  return 'new';
}

async function* counting(source: AsyncIterable<Buffer>, onBytes: (bytes: number) => void): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    onBytes(chunk.length);
    yield chunk;
  }
}

function isBilled(details: ImageDetails | null, image: BillImage): boolean {
  if (details === null) return false;
  const sameId = [image.config_digest, image.manifest_digest].includes(details.id);
  return (
    sameId &&
    details.layers.length === image.diff_ids.length &&
    details.layers.every((layer, index) => layer === image.diff_ids[index])
  );
}

/** @throws CortexError package_file_missing, package_file_altered */
export async function checkFile(
  packageDir: string,
  name: string,
  bill: Bill,
  onBytes?: (bytes: number) => void,
): Promise<void> {
  const expected = bill.files.find((file) => file.name === name);
  if (expected === undefined)
    throw new CortexError('bill_invalid', {
      file: billName,
      reason: `it names ${name} among its images but not among its files`,
    });
  const path = join(packageDir, name);
  const size = await stat(path).then(
    (found) => found.size,
    () => null,
  );
  if (size === null) throw new CortexError('package_file_missing', { file: name });
  const altered = (detail: string) => new CortexError('package_file_altered', { file: name, detail });
  if (size !== expected.sizeBytes) throw altered(`it has ${size} bytes instead of ${expected.sizeBytes}.`);
  if ((await sha256OfFile(path, onBytes)) !== expected.sha256)
    throw altered('its SHA-256 is not the one in manifest.json.');
}

/**
 * A failed load can leave the tag behind, on the containerd store even with its full size shown. It goes, unless it
 * still names what it named before; a name that counts for loaded must never stand for a broken image.
 */
async function dropBroken(engine: DockerEngine, image: BillImage, before: ImageDetails | null): Promise<void> {
  const now = await engine.images.inspect(image.reference).catch(() => null);
  if (now !== null && now.id !== before?.id) await engine.images.remove(image.reference, { force: true });
}

/** Exit codes and inspect can be fine for a broken image; being able to make a container of it is the proof. */
async function proveUsable(engine: DockerEngine, image: BillImage): Promise<void> {
  const name = `cortex-proof-${randomBytes(6).toString('hex')}`;
  const id = await engine.containers.create(name, {
    Image: image.reference,
    Cmd: ['true'],
    Labels: { 'cortex.proof': 'true' },
  });
  await engine.containers.remove(id, { force: true });
}
