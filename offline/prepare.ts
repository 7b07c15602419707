import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CortexError } from '../contract/errors.ts';
import type { DockerEngine } from '../docker/engine.ts';
import { type Bill, type BillFile, chunkBytes, parseBill } from './bill.ts';
import { readBillBytes } from './bill-file.ts';
import { writeDurably } from './durable-file.ts';
import type { Report } from './events.ts';
import { fetchMembers } from './fetch.ts';
import { type FileSums, HashPool } from './hash-pool.ts';
import { HubClient } from './hub.ts';
import { keptMembers, rememberFiles } from './kept.ts';
import { Ledger } from './ledger.ts';
import { StreamLimit } from './limiter.ts';
import { writeLock } from './lock.ts';
import type { Member } from './member.ts';
import {
  type PackageFolders,
  removeBills,
  removeStale,
  type Signer,
  smallFile,
  writeFurniture,
} from './package-writer.ts';
import { partialBytes } from './piece-writer.ts';
import { assembleBill, lockOf, unreachedImages } from './prepare-bill.ts';
import { reportFailure } from './prepare-images.ts';
import { type PackagePlan, planPackage } from './prepare-plan.ts';
import { RegistryClient } from './registry.ts';
import { registrySettings } from './registry-transport.ts';
import { scanArchive } from './reports.ts';

export interface PrepareOptions {
  readonly rootDir: string;
  readonly outputDir: string;
  /** `linux/amd64`; the first one's archives have the plain names. */
  readonly platforms: readonly string[];
  readonly withBuildBases?: boolean;
  /** These images and no others of the list. */
  readonly only?: readonly string[];
  /** These images are taken from a local Engine: no registry has them. */
  readonly fromEngine?: { readonly references: readonly string[]; readonly engine: DockerEngine } | undefined;
  /** Archives of docker save whose images go in as well. */
  readonly savedArchives?: readonly string[];
  /** `hf:org/name@revision` or paths, or a folder under another name. */
  readonly models?: readonly (string | { readonly path: string; readonly name: string })[];
  /** An inventory of the machine that it is for: models that will not fit are told of. */
  readonly targetFile?: string | undefined;
  /** The largest volume, in bytes. */
  readonly volumeBytes?: number | undefined;
  /** Layers that images share are packed once. */
  readonly dedupe?: boolean;
  /** A package or an inventory that the other side has: only what is new is packed. */
  readonly baseFile?: string | undefined;
  /** Take exactly what the lock file pins. */
  readonly locked?: boolean;
  readonly lockFile?: string | undefined;
  readonly signer: Signer | null;
  /** Tell what would be done, and change nothing. */
  readonly dryRun?: boolean;
  /** The most streams at once. */
  readonly streams?: number | undefined;
  /** Versions, mirrors, proxy, hub. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly report: Report;
  readonly signal?: AbortSignal | undefined;
}

const defaultStreams = 8;

/** Where a preparation keeps what it knows from run to run, beside the package: it does not travel. */
export const stateDirOf = (outputDir: string): string => join(dirname(outputDir), `.${basename(outputDir)}.prepare`);

/**
 * Makes the package: every image straight from its registry, one archive each, models as they are, then the signed bill. The
 * same command goes on where an interrupted one stopped, and does nothing where nothing changed.
 * @returns null for a dry run
 * @throws CortexError of a critical or required image, after the others were tried
 */
export async function preparePackage(options: PrepareOptions): Promise<Bill | null> {
  const { outputDir, env, signal } = options;
  const stateDir = stateDirOf(outputDir);
  const tempDir = join(stateDir, 'temp');
  const limit = new StreamLimit({ most: options.streams ?? defaultStreams });
  const registry = new RegistryClient({
    ...registrySettings(env),
    signal,
    onThrottled: (waitMs) => limit.throttled(waitMs),
  });
  const hub = new HubClient({
    endpoint: env.HF_ENDPOINT || 'https://huggingface.co',
    ...(env.HF_TOKEN ? { token: env.HF_TOKEN } : {}),
    ...(signal === undefined ? {} : { signal }),
  });
  const pool = new HashPool();
  const wasThere = existsSync(stateDir);
  options.report({ kind: 'started', work: 'prepare', dir: outputDir });
  try {
    await mkdir(tempDir, { recursive: true });
    const before = await readBefore(outputDir, stateDir);
    const plan = await planPackage(options, { registry, hub, tempDir, before });
    return await carryOut(plan, options, { stateDir, limit, pool, before });
  } catch (error) {
    throw await asDiskFull(error, outputDir);
  } finally {
    await rm(options.dryRun && !wasThere ? stateDir : tempDir, { recursive: true, force: true });
    await Promise.all([pool.close(), registry.close(), hub.close()]);
  }
}

interface Tools {
  readonly stateDir: string;
  readonly limit: StreamLimit;
  readonly pool: HashPool;
  /** The package that stood there before, or that an interrupted run has begun to replace. */
  readonly before: Bill | null;
}

async function carryOut(plan: PackagePlan, options: PrepareOptions, tools: Tools): Promise<Bill | null> {
  const { report, signer, platforms, dedupe = false } = options;
  const { stateDir, pool, before } = tools;
  const { folders, members, images, catalog } = plan;
  const ledgerFile = join(stateDir, 'ledger.jsonl');
  const sums = await bringMembers(plan, options, tools, ledgerFile);
  if (sums === null) return null;
  const scans = await scanImages(plan, options, sums);
  const kept = await unreachedImages(before, plan, pool);
  const { bill, readme } = assembleBill({ plan, sums, platforms, dedupe, signer, scans, kept, before });
  await writeFurniture(bill, { folders, signer, readme, pool });
  for (const name of await removeStale(before, bill, folders))
    report({ kind: 'warning', message: `${name} of the package before is removed: this one does not hold it.` });
  await rememberFiles(ledgerFile, members, sums);
  await writeDurably(join(stateDir, 'before.json'), Buffer.from((await readBillBytes(options.outputDir)) ?? ''));
  if (!options.locked) await writeLock(plan.lockFile, lockOf(bill, plan));
  const succeeded = images.filter(({ member }) => sums.has(member.name)).length;
  const totalBytes = bill.files.reduce((total, file) => total + file.sizeBytes, 0);
  report({
    kind: 'finished',
    work: 'prepare',
    succeeded,
    failed: catalog.length * platforms.length - succeeded,
    totalBytes,
  });
  return bill;
}

/** Brings every member to its place. @returns their sums, or null for a dry run */
async function bringMembers(
  plan: PackagePlan,
  options: PrepareOptions,
  { stateDir, limit, pool, before }: Tools,
  ledgerFile: string,
): Promise<ReadonlyMap<string, FileSums> | null> {
  const { report, signal, outputDir } = options;
  const { members, images, folders } = plan;
  const { ledger, state } = await Ledger.open(ledgerFile);
  const imageOf = new Map(images.map((image) => [image.member.name, image]));
  let { failure } = plan;
  try {
    const sums = new Map(await keptMembers(members, state, folders, pool));
    const missing = members.filter(({ name }) => !sums.has(name));
    await checkSpace(outputDir, missing, folders);
    report({ kind: 'planned', totalBytes: bytesOf(members), presentBytes: bytesOf(members) - bytesOf(missing) });
    for (const { entry, member } of images)
      if (sums.has(member.name))
        report({ kind: 'file-done', file: entry.file, sizeBytes: member.sizeBytes, note: 'kept' });
    if (options.dryRun) return null;
    if (failure !== null && !missing.some(({ name }) => imageOf.has(name))) throw failure;
    if (missing.length > 0 || failure !== null) {
      if (before !== null) await writeDurably(join(stateDir, 'before.json'), Buffer.from(JSON.stringify(before)));
      await removeBills(folders.all);
    }
    const fetched = await fetchMembers({
      members: missing,
      piecesOf: ({ name }) => folders.pathsOf(name),
      chunkBytes,
      ledger,
      state,
      pool,
      limit,
      signal,
      onBytes: ({ name }, bytes) => report({ kind: 'bytes', file: name, bytes }),
      onDone: ({ name, sizeBytes, blobs }) => {
        if (blobs.length > 0) report({ kind: 'file-done', file: name, sizeBytes, note: 'new' });
      },
      onFailed: ({ name }, error) => {
        const entry = imageOf.get(name)?.entry ?? { role: 'required' as const, reference: name, file: name };
        failure ??= reportFailure(entry, error, report);
      },
    });
    for (const [name, found] of fetched) sums.set(name, found);
    if (failure !== null) throw failure;
    return sums;
  } finally {
    await ledger.close();
  }
}

const bytesOf = (members: readonly Member[]) => members.reduce((total, member) => total + member.sizeBytes, 0);

/** The bill that stands there, or the one that an interrupted run had found there. One that can't be read counts for none. */
async function readBefore(outputDir: string, stateDir: string): Promise<Bill | null> {
  for (const read of [() => readBillBytes(outputDir), () => readFile(join(stateDir, 'before.json'))]) {
    try {
      const bytes = await read();
      if (bytes !== null) return parseBill(bytes, outputDir);
    } catch {
      // The next place may have it.
    }
  }
  return null;
}

async function checkSpace(outputDir: string, missing: readonly Member[], folders: PackageFolders): Promise<void> {
  let neededBytes = 0;
  for (const { name, sizeBytes } of missing) {
    const there = await partialBytes(folders.pathsOf(name).map(({ path }) => path));
    neededBytes += Math.max(0, sizeBytes - there);
  }
  const freeBytes = await freeBytesAt(outputDir);
  if (neededBytes > freeBytes) throw new CortexError('disk_full', { path: outputDir, neededBytes, freeBytes });
}

/** Of the file system that a folder is on, or will be. */
async function freeBytesAt(dir: string): Promise<number> {
  for (let at = dir; ; at = dirname(at)) {
    const found = await statfs(at).catch(() => null);
    if (found !== null) return found.bavail * found.bsize;
    if (dirname(at) === at) return Number.POSITIVE_INFINITY;
  }
}

/** With trivy or grype on the PATH a report of each archive travels along. */
async function scanImages(
  plan: PackagePlan,
  options: PrepareOptions,
  sums: ReadonlyMap<string, FileSums>,
): Promise<BillFile[]> {
  const { folders, images } = plan;
  // A locked package is the same byte for byte; what a scanner knows changes every day. A cut archive can't be scanned.
  if (options.locked || folders.layout.volumes > 1 || plan.base !== null) return [];
  const files: BillFile[] = [];
  for (const { member, entry } of images) {
    if (!sums.has(member.name)) continue;
    const scan = await scanArchive(join(folders.outputDir, member.name), member.name.replace(/\.tar$/, ''));
    if (scan === null) return [];
    await mkdir(join(folders.outputDir, 'reports'), { recursive: true });
    await writeFile(join(folders.outputDir, scan.name), scan.bytes);
    files.push(smallFile(scan.name, scan.bytes));
    options.report({
      kind: 'note',
      message: `${entry.reference} was scanned; the scanner's database is of ${scan.databaseDate ?? 'an unknown date'}`,
    });
  }
  return files;
}

async function asDiskFull(error: unknown, path: string): Promise<unknown> {
  if (Object(error).code !== 'ENOSPC') return error;
  return new CortexError('disk_full', { path, neededBytes: 0, freeBytes: await freeBytesAt(path) }, { cause: error });
}
