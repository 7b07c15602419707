import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';
import { type ArchivePlan, type PackableImage, planArchive, writeBlob } from './archive.ts';
import { type Bill, type BillImage, billName, formatVersion, readBill } from './bill.ts';
import { type Catalog, type CatalogEntry, readCatalog, readNodeBase } from './catalog.ts';
import { sha256OfFile, syncFolder, writeDurably } from './durable-file.ts';
import type { Report } from './events.ts';
import { parseImageReference } from './image-reference.ts';
import { inParallel } from './in-parallel.ts';
import { type Progress, progressName, progressSaver, readProgress } from './prepare-progress.ts';
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
const layerName = '.cortex-layer.tar.gz';

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
    const { planned, failure: unresolved } = await resolveAll(catalog, registry, options);
    let failure = unresolved;
    const before = await readBill(outputDir).catch(() => null);
    const done = await readProgress(outputDir, before);
    const missing = planned.filter(({ entry, image }) => done.done[entry.file]?.manifest !== image.manifest.digest);
    const totalBytes = planned.reduce((total, { plan }) => total + plan.sizeBytes, 0);
    const missingBytes = missing.reduce((total, { plan }) => total + plan.sizeBytes, 0);
    await checkSpace(outputDir, missing);
    report({ kind: 'planned', totalBytes, presentBytes: totalBytes - missingBytes });
    for (const { entry, plan } of planned.filter((one) => !missing.includes(one))) {
      report({ kind: 'file-done', file: entry.file, sizeBytes: plan.sizeBytes, note: 'kept' });
    }
    if (failure !== null && missing.length === 0) throw failure;
    // What is done is written down before the bill goes: from here on the folder is no whole package until it stands again.
    const save = progressSaver(outputDir, done);
    await save();
    await rm(join(outputDir, billName), { force: true });
    await inParallel(missing, imagesAtOnce, async (one) => {
      try {
        await writeArchive(one, outputDir, done, save, options);
      } catch (error) {
        failure ??= reportFailure(one.entry, error, report);
      }
    });
    if (failure !== null) throw failure;
    await removeStale(outputDir, before, catalog, report);
    const whole = planned.filter(({ entry, image }) => done.done[entry.file]?.manifest === image.manifest.digest);
    const unreached = (before?.images ?? []).filter(
      (old) =>
        old.platform === platform &&
        catalog.some(({ file }) => file === old.file) &&
        done.done[old.file]?.manifest === old.manifest_digest &&
        !whole.some(({ entry }) => entry.file === old.file),
    );
    const bill = await writeBill(whole, unreached, done, { outputDir, platform, rootDir });
    await rm(join(outputDir, progressName), { force: true });
    report({
      kind: 'finished',
      work: 'prepare',
      succeeded: whole.length,
      failed: catalog.length - whole.length,
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
      failure ??= reportFailure(entry, error, options.report);
    }
  });
  const order = (one: Planned) => catalog.indexOf(one.entry);
  return { planned: planned.sort((a, b) => order(a) - order(b)), failure };
}

/** Tells what failed; an optional image is only left out. Gives the error that ends the command, if it does. */
function reportFailure(entry: CatalogEntry, error: unknown, report: Report): CortexError | null {
  if (!(error instanceof CortexError) || error.code === 'interrupted') throw error;
  const { code, message, hint } = error;
  if (entry.role === 'optional') {
    report({ kind: 'warning', message: `${entry.reference} is left out (optional): ${message}` });
    return null;
  }
  report({ kind: 'file-failed', file: entry.file, sizeBytes: 0, code, message, hint });
  return error;
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

/**
 * Archives of the package before that the list has no more: a carried folder must not mix versions. Compared with the list,
 * not with what could be reached today: a registry that is down takes nothing away.
 */
async function removeStale(outputDir: string, before: Bill | null, catalog: Catalog, report: Report): Promise<void> {
  const files = new Set(catalog.map(({ file }) => file));
  for (const { file } of before?.images ?? []) {
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
  done.done[entry.file] = { manifest, sizeBytes: plan.sizeBytes, sha256 };
  await save();
  report({ kind: 'file-done', file: entry.file, sizeBytes: plan.sizeBytes, note: 'new' });
}

const packageJson = z.object({ version: z.string() });

/** @param unreached optional images of the package before that could not be reached today: they stay as they are */
async function writeBill(
  planned: readonly Planned[],
  unreached: readonly BillImage[],
  done: Progress,
  place: { outputDir: string; platform: string; rootDir: string },
): Promise<Bill> {
  const { outputDir, platform, rootDir } = place;
  const { version } = packageJson.parse(JSON.parse(await readFile(join(rootDir, 'package.json'), 'utf8')));
  const made = planned.map(
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
  const images = [...made, ...unreached];
  const files = images.map(({ file, sizeBytes }) => ({ name: file, sizeBytes, sha256: done.done[file]?.sha256 ?? '' }));
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

async function asDiskFull(error: unknown, path: string): Promise<unknown> {
  if (Object(error).code !== 'ENOSPC') return error;
  const { bavail, bsize } = await statfs(path);
  return new CortexError('disk_full', { path, neededBytes: 0, freeBytes: bavail * bsize }, { cause: error });
}
