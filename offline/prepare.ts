import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';
import { type ArchivePlan, type PackableImage, planArchive, writeBlob } from './archive.ts';
import { type Bill, type BillImage, billName, formatVersion, readBill } from './bill.ts';
import { type Catalog, type CatalogEntry, readCatalog, readNodeBase } from './catalog.ts';
import type { Report } from './events.ts';
import { parseImageReference } from './image-reference.ts';
import { renderReadme } from './readme.ts';
import { RegistryClient } from './registry.ts';
import { buildSelfImage } from './self-image.ts';

export interface PrepareOptions {
  readonly rootDir: string;
  readonly outputDir: string;
  /** `linux/amd64` */
  readonly platform: string;
  readonly withBuildBases?: boolean;
  /** Versions, mirrors and proxy. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly report: Report;
  readonly signal?: AbortSignal;
}

interface Planned {
  readonly entry: CatalogEntry;
  readonly image: PackableImage & { readonly diffIds: readonly string[]; readonly indexDigest: string | null };
  readonly plan: ArchivePlan;
}

const imagesAtOnce = 3;
const blobsPerImage = 3;
const progressName = '.prepare.json';
const layerName = '.cortex-layer.tar.gz';

/** What an interrupted prepare had done: archives that are whole, and the layers of those that are not. */
const progress = z.object({
  done: z.record(z.string(), z.object({ manifest: z.string(), sha256: z.string() })),
  partial: z.record(z.string(), z.object({ manifest: z.string(), layers: z.array(z.string()) })),
});
type Progress = z.infer<typeof progress>;

/**
 * Makes the package: every image straight from its registry, one archive each, then the bill. The same command goes on
 * where an interrupted one stopped, and does nothing where nothing changed. manifest.json is written last: where it
 * stands, the package is whole.
 * @throws CortexError of a critical or required image, after the others were tried
 */
export async function preparePackage(options: PrepareOptions): Promise<Bill> {
  const { rootDir, outputDir, env, report, platform, signal } = options;
  const registry = new RegistryClient({
    mirrors: env.CORTEX_REGISTRY_MIRRORS,
    ...(signal === undefined ? {} : { signal }),
  });
  await mkdir(outputDir, { recursive: true });
  report({ kind: 'started', work: 'prepare', dir: outputDir });
  try {
    const catalog = readCatalog(
      { rootDir, env },
      options.withBuildBases === undefined ? {} : { withBuildBases: options.withBuildBases },
    );
    const { planned, failure } = await resolveAll(catalog, registry, options);
    const done = await readProgress(outputDir);
    await removeStale(outputDir, planned, report);
    const missing = planned.filter(({ entry, image }) => done.done[entry.file]?.manifest !== image.manifest.digest);
    const totalBytes = planned.reduce((total, { plan }) => total + plan.sizeBytes, 0);
    const missingBytes = missing.reduce((total, { plan }) => total + plan.sizeBytes, 0);
    await checkSpace(outputDir, missing);
    report({ kind: 'planned', totalBytes, presentBytes: totalBytes - missingBytes });
    for (const { entry, plan } of planned.filter((one) => !missing.includes(one))) {
      report({ kind: 'file-done', file: entry.file, sizeBytes: plan.sizeBytes, note: 'kept' });
    }
    // From here on the folder is not a whole package until the bill stands again.
    await rm(join(outputDir, billName), { force: true });
    const save = serialSaver(join(outputDir, progressName), done);
    await inParallel(missing, imagesAtOnce, (one) => writeArchive(one, outputDir, done, save, options));
    if (failure !== null) throw failure;
    const bill = await writeBill(planned, done, { outputDir, platform, rootDir });
    await rm(join(outputDir, progressName), { force: true });
    report({
      kind: 'finished',
      work: 'prepare',
      succeeded: planned.length,
      failed: catalog.length - planned.length,
      totalBytes,
    });
    return bill;
  } catch (error) {
    throw await asDiskFull(error, outputDir);
  } finally {
    await rm(join(outputDir, layerName), { force: true });
    await registry.close();
  }
}

async function resolveAll(
  catalog: Catalog,
  registry: RegistryClient,
  options: PrepareOptions,
): Promise<{ planned: Planned[]; failure: CortexError | null }> {
  const planned: Planned[] = [];
  let failure: CortexError | null = null;
  await inParallel(catalog, imagesAtOnce, async (entry) => {
    try {
      const image = await resolveEntry(entry, registry, options);
      const plan = planArchive(image);
      options.report({ kind: 'resolved', reference: entry.reference, file: entry.file, sizeBytes: plan.sizeBytes });
      planned.push({ entry, image, plan });
    } catch (error) {
      if (!(error instanceof CortexError) || error.code === 'interrupted') throw error;
      const { code, message, hint } = error;
      if (entry.role === 'optional')
        options.report({ kind: 'warning', message: `${entry.reference} is left out (optional): ${message}` });
      else {
        failure ??= error;
        options.report({ kind: 'file-failed', file: entry.file, sizeBytes: 0, code, message, hint });
      }
    }
  });
  const order = (one: Planned) => catalog.indexOf(one.entry);
  return { planned: planned.sort((a, b) => order(a) - order(b)), failure };
}

async function resolveEntry(
  entry: CatalogEntry,
  registry: RegistryClient,
  options: PrepareOptions,
): Promise<Planned['image']> {
  const { platform, rootDir, env, outputDir } = options;
  if (entry.key === 'cortex') {
    const base = await registry.resolve(parseImageReference(readNodeBase({ rootDir, env }).reference), platform);
    const image = await buildSelfImage({
      rootDir,
      base,
      registry,
      reference: entry.reference,
      platform,
      tempFile: join(outputDir, layerName),
    });
    return { ...image, indexDigest: null };
  }
  const remote = await registry.resolve(parseImageReference(entry.reference), platform);
  return { ...remote, platform, open: (layer) => registry.blob(remote.reference, layer) };
}

/** A finished package tells by its bill what is there; an interrupted one by its progress file. */
async function readProgress(outputDir: string): Promise<Progress> {
  const text = await readFile(join(outputDir, progressName), 'utf8').catch(() => 'null');
  const kept: Progress = progress.safeParse(JSON.parse(text)).data ?? { done: {}, partial: {} };
  const bill = await readBill(outputDir).catch(() => null);
  for (const image of bill?.images ?? []) {
    const file = bill?.files.find(({ name }) => name === image.file);
    if (file !== undefined) kept.done[image.file] ??= { manifest: image.manifest_digest, sha256: file.sha256 };
  }
  for (const file of Object.keys(kept.done)) {
    const size = await stat(join(outputDir, file)).then(
      (found) => found.size,
      () => -1,
    );
    const expected = bill?.files.find(({ name }) => name === file)?.sizeBytes ?? size;
    if (size === -1 || size !== expected) delete kept.done[file];
  }
  return kept;
}

/** Archives of the package before that this one does not hold: a carried folder must not mix versions. */
async function removeStale(outputDir: string, planned: readonly Planned[], report: Report): Promise<void> {
  const bill = await readBill(outputDir).catch(() => null);
  const files = new Set(planned.map(({ entry }) => entry.file));
  for (const { file } of bill?.images ?? []) {
    if (files.has(file)) continue;
    await rm(join(outputDir, file), { force: true });
    report({ kind: 'warning', message: `${file} of the package before is removed: this one does not hold it.` });
  }
}

async function checkSpace(outputDir: string, missing: readonly Planned[]): Promise<void> {
  let neededBytes = 0;
  for (const { entry, plan } of missing) {
    const there = await stat(join(outputDir, `${entry.file}.partial`)).then(
      (found) => found.blocks * 512,
      () => 0,
    );
    neededBytes += Math.max(0, plan.sizeBytes - there);
  }
  const { bavail, bsize } = await statfs(outputDir);
  const freeBytes = bavail * bsize;
  if (neededBytes > freeBytes) throw new CortexError('disk_full', { path: outputDir, neededBytes, freeBytes });
}

async function writeArchive(
  { entry, image, plan }: Planned,
  outputDir: string,
  done: Progress,
  save: () => Promise<void>,
  { report, signal }: PrepareOptions,
): Promise<void> {
  const path = join(outputDir, entry.file);
  const partial = `${path}.partial`;
  const manifest = image.manifest.digest;
  const before = done.partial[entry.file];
  const there = before?.manifest === manifest && (await stat(partial).catch(() => null)) !== null ? before.layers : [];
  const state = { manifest, layers: [...there] };
  done.partial[entry.file] = state;
  report({ kind: 'file-started', file: entry.file, sizeBytes: plan.sizeBytes });
  const file = await open(partial, there.length > 0 ? 'r+' : 'w+');
  try {
    await file.truncate(plan.sizeBytes);
    for (const { offset, bytes } of plan.pieces) await file.write(bytes, 0, bytes.length, offset);
    await inParallel(plan.blobs, blobsPerImage, async (blob) => {
      if (state.layers.includes(blob.layer.digest)) {
        report({ kind: 'bytes', file: entry.file, bytes: blob.layer.size });
        return;
      }
      if (signal?.aborted) throw new CortexError('interrupted', {});
      await writeBlob(file, blob, image.open(blob.layer), (bytes) =>
        report({ kind: 'bytes', file: entry.file, bytes }),
      );
      await file.datasync();
      state.layers.push(blob.layer.digest);
      await save();
    });
    await file.sync();
  } finally {
    await file.close();
  }
  const sha256 = await sha256OfFile(partial);
  await rename(partial, path);
  await syncFolder(outputDir);
  delete done.partial[entry.file];
  done.done[entry.file] = { manifest, sha256 };
  await save();
  report({ kind: 'file-done', file: entry.file, sizeBytes: plan.sizeBytes, note: 'new' });
}

/** SHA-256 of a whole file, in hex, in constant memory. */
export async function sha256OfFile(path: string, onBytes?: (bytes: number) => void): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    const bytes: Buffer = chunk;
    hash.update(bytes);
    onBytes?.(bytes.length);
  }
  return hash.digest('hex');
}

const packageJson = z.object({ version: z.string() });

async function writeBill(
  planned: readonly Planned[],
  done: Progress,
  place: { outputDir: string; platform: string; rootDir: string },
): Promise<Bill> {
  const { outputDir, platform, rootDir } = place;
  const { version } = packageJson.parse(JSON.parse(await readFile(join(rootDir, 'package.json'), 'utf8')));
  const images = planned.map(
    ({ entry, image, plan }): BillImage => ({
      ...entry,
      platform,
      index_digest: image.indexDigest,
      manifest_digest: image.manifest.digest,
      config_digest: image.config.descriptor.digest,
      diff_ids: [...image.diffIds],
      sizeBytes: plan.sizeBytes,
    }),
  );
  const files = planned.map(({ entry, plan }) => ({
    name: entry.file,
    sizeBytes: plan.sizeBytes,
    sha256: done.done[entry.file]?.sha256 ?? '',
  }));
  const readme = Buffer.from(renderReadme(images, version));
  await writeDurably(join(outputDir, 'README.txt'), readme);
  files.push({
    name: 'README.txt',
    sizeBytes: readme.length,
    sha256: createHash('sha256').update(readme).digest('hex'),
  });
  const bill: Bill = {
    format_version: formatVersion,
    cortex_version: version,
    created_at: new Date().toISOString(),
    platform,
    images,
    files,
  };
  const text = Buffer.from(`${JSON.stringify(bill, null, 2)}\n`);
  const sums = [...files, { name: billName, sha256: createHash('sha256').update(text).digest('hex') }];
  await writeDurably(
    join(outputDir, 'checksums.txt'),
    Buffer.from(sums.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join('')),
  );
  await writeDurably(join(outputDir, billName), text);
  return bill;
}

/** To a temporary name, to the disk, then to its name: a reader finds the old file or the new one, whole. */
export async function writeDurably(path: string, bytes: Buffer): Promise<void> {
  const file = await open(`${path}.new`, 'w');
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  await syncFolder(dirname(path));
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Saves the progress one after the other, so that two finished layers don't write the same file at once. */
function serialSaver(path: string, done: Progress): () => Promise<void> {
  let last = Promise.resolve();
  return () => {
    last = last.then(async () => {
      await writeFile(`${path}.new`, JSON.stringify(done));
      await rename(`${path}.new`, path);
    });
    return last;
  };
}

async function inParallel<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const worker = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  const results = await Promise.allSettled(Array.from({ length: atOnce }, worker));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

async function asDiskFull(error: unknown, path: string): Promise<unknown> {
  if (Object(error).code !== 'ENOSPC') return error;
  const { bavail, bsize } = await statfs(path);
  return new CortexError('disk_full', { path, neededBytes: 0, freeBytes: bavail * bsize }, { cause: error });
}
