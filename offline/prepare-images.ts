import { join } from 'node:path';
import { CortexError } from '../contract/errors.ts';
import type { DockerEngine } from '../docker/engine.ts';
import type { PackableImage } from './archive.ts';
import type { Catalog, CatalogEntry } from './catalog.ts';
import { readNodeBase } from './catalog.ts';
import type { Report } from './events.ts';
import { parseImageReference } from './image-reference.ts';
import { inParallel } from './in-parallel.ts';
import { type Lock, type LockedImage, lockedFor } from './lock.ts';
import type { RegistryClient } from './registry.ts';
import { openSavedImage } from './saved-image.ts';
import { buildSelfImage } from './self-image.ts';

const imagesAtOnce = 4;

/** An image of the list, found. */
export interface ResolvedImage {
  readonly entry: CatalogEntry;
  readonly platform: string;
  readonly image: PackableImage;
  readonly indexDigest: string | null;
  /** Upstream documents about it, by digest: the index, signatures, SBOMs, attestations. */
  readonly evidence: ReadonlyMap<string, Buffer>;
  /** The base of an image that is made here: it is pinned too, or the image could not be made again. */
  readonly builtFrom?: LockedImage;
}

export interface ResolveOptions {
  readonly rootDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platforms: readonly string[];
  readonly registry: RegistryClient;
  /** With a lock only what it pins is taken. */
  readonly lock: Lock | null;
  readonly tempDir: string;
  /** Images that are taken from an Engine, because no registry has them. */
  readonly fromEngine: { readonly references: ReadonlySet<string>; readonly engine: DockerEngine } | null;
  readonly report: Report;
}

/** Finds every image for every platform; all are tried before the first failure ends it. */
export async function resolveImages(
  catalog: Catalog,
  options: ResolveOptions,
): Promise<{ resolved: ResolvedImage[]; failure: CortexError | null }> {
  const wanted = options.platforms.flatMap((platform, index) =>
    catalog.map((entry) => ({
      entry: index === 0 ? entry : { ...entry, file: withPlatform(entry.file, platform) },
      platform,
    })),
  );
  const resolved: ResolvedImage[] = [];
  let failure: CortexError | null = null;
  await inParallel(wanted, imagesAtOnce, async ({ entry, platform }) => {
    try {
      resolved.push(await resolveOne(entry, platform, options));
    } catch (error) {
      failure ??= reportFailure(entry, error, options.report);
    }
  });
  const order = ({ entry, platform }: ResolvedImage) =>
    wanted.findIndex((one) => one.entry.file === entry.file && one.platform === platform);
  return { resolved: resolved.sort((a, b) => order(a) - order(b)), failure };
}

/** `linux/arm64` of `redis-7.tar` → `redis-7-arm64.tar`. */
const withPlatform = (file: string, platform: string) =>
  file.replace(/\.tar$/, `-${platform.split('/').slice(1).join('-')}.tar`);

/** Tells what failed; an optional image is only left out. Gives the error that ends the command, if it does. */
export function reportFailure(
  entry: Pick<CatalogEntry, 'role' | 'reference' | 'file'>,
  error: unknown,
  report: Report,
): CortexError | null {
  if (!(error instanceof CortexError) || error.code === 'interrupted') throw error;
  const { code, message, hint } = error;
  if (entry.role === 'optional') {
    report({ kind: 'warning', message: `${entry.reference} is left out (optional): ${message}` });
    return null;
  }
  report({ kind: 'file-failed', file: entry.file, sizeBytes: 0, code, message, hint });
  return error;
}

async function resolveOne(entry: CatalogEntry, platform: string, options: ResolveOptions): Promise<ResolvedImage> {
  if (entry.key === 'cortex') return resolveSelf(entry, platform, options);
  if (options.fromEngine?.references.has(entry.reference)) {
    const tempFile = join(options.tempDir, `${entry.file}.saved`);
    const image = await openSavedImage(options.fromEngine.engine, entry.reference, tempFile);
    if (image.platform !== platform)
      throw new CortexError('platform_missing', { image: entry.reference, platform, available: image.platform });
    return { entry, platform, image, indexDigest: null, evidence: new Map() };
  }
  const { registry, lock } = options;
  const reference = parseImageReference(entry.reference);
  const pinned = lock === null ? undefined : needLocked(lock, entry.reference, platform);
  const digest = pinned?.index_digest ?? pinned?.manifest_digest ?? null;
  const remote = await registry.resolve({ ...reference, digest }, platform).catch((error: unknown) => {
    if (pinned === undefined || !(error instanceof CortexError) || error.code !== 'image_not_in_registry') throw error;
    throw new CortexError(
      'lock_moved',
      { what: entry.reference, reason: `the registry no longer has ${digest}` },
      { cause: error },
    );
  });
  if (pinned !== undefined && remote.manifest.digest !== pinned.manifest_digest)
    throw new CortexError('lock_moved', {
      what: entry.reference,
      reason: `its manifest for ${platform} is another one`,
    });
  const evidence = new Map<string, Buffer>();
  if (remote.index !== null && remote.indexDigest !== null) evidence.set(remote.indexDigest, remote.index);
  for (const subject of [remote.indexDigest, remote.manifest.digest]) {
    if (subject === null) continue;
    for (const { digest: found, bytes } of await registry.referrers(reference, subject)) evidence.set(found, bytes);
  }
  const image: PackableImage = {
    ...remote,
    reference,
    platform,
    open: (layer) => (from, to) => registry.blob(reference, layer, from, to),
  };
  return { entry, platform, image, indexDigest: remote.indexDigest, evidence };
}

async function resolveSelf(entry: CatalogEntry, platform: string, options: ResolveOptions): Promise<ResolvedImage> {
  const { rootDir, env, registry, lock, tempDir } = options;
  const baseName = readNodeBase({ rootDir, env }).reference;
  const pinnedBase = lock === null ? undefined : needLocked(lock, baseName, platform);
  const reference = {
    ...parseImageReference(baseName),
    digest: pinnedBase?.index_digest ?? pinnedBase?.manifest_digest ?? null,
  };
  const base = await registry.resolve(reference, platform);
  const image = await buildSelfImage({
    rootDir,
    base: { ...base, reference: { ...reference, digest: null } },
    registry,
    reference: entry.reference,
    platform,
    tempFile: join(tempDir, `self-${platform.replaceAll('/', '-')}.tar.gz`),
  });
  const pinned = lock === null ? undefined : needLocked(lock, entry.reference, platform);
  if (pinned !== undefined && pinned.manifest_digest !== image.manifest.digest)
    throw new CortexError('lock_moved', {
      what: entry.reference,
      reason: 'this checkout builds another one than the lock records',
    });
  const evidence = new Map<string, Buffer>();
  if (base.index !== null && base.indexDigest !== null) evidence.set(base.indexDigest, base.index);
  const builtFrom: LockedImage = {
    reference: baseName,
    platform,
    index_digest: base.indexDigest,
    manifest_digest: base.manifest.digest,
    config_digest: base.config.descriptor.digest,
  };
  return { entry, platform, image, indexDigest: null, evidence, builtFrom };
}

function needLocked(lock: Lock, reference: string, platform: string) {
  const found = lockedFor(lock, reference, platform);
  if (found !== undefined) return found;
  throw new CortexError('lock_moved', { what: reference, reason: `the lock does not pin it for ${platform}` });
}
