import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';
import { planArchive } from './archive.ts';
import { type Bill, type BlobPlace, chunkBytes } from './bill.ts';
import { type Catalog, catalogOf, readCatalog } from './catalog.ts';
import { type Base, layersInBase, layersInPackage, readBase } from './delta.ts';
import type { HubClient } from './hub.ts';
import { type Lock, lockName, readLock } from './lock.ts';
import { bindToPlace, type Member, memberOf } from './member.ts';
import { openModel, type PackableModel } from './models.ts';
import { PackageFolders } from './package-writer.ts';
import type { PrepareOptions } from './prepare.ts';
import { type ResolvedImage, resolveImages } from './prepare-images.ts';
import type { RegistryClient } from './registry.ts';
import { renderSbom, sbomName } from './reports.ts';
import { readSavedArchive } from './saved-image.ts';
import { fitWarnings } from './target-fit.ts';
import { layOutVolumes, type VolumeLayout } from './volume-layout.ts';

export interface PlannedImage extends ResolvedImage {
  readonly member: Member;
  readonly blobs: BlobPlace[];
}

/** All that is known before the first byte is fetched: what goes in, how large, and where each byte will be. */
export interface PackagePlan {
  readonly catalog: Catalog;
  readonly images: readonly PlannedImage[];
  readonly models: readonly PackableModel[];
  /** Everything that is fetched or written, in order. */
  readonly members: readonly Member[];
  readonly folders: PackageFolders;
  readonly base: Base | null;
  readonly lockFile: string;
  readonly cortexVersion: string;
  readonly createdAt: string;
  readonly sequence: number;
  /** Of a required image that could not be found. */
  readonly failure: CortexError | null;
}

const packageJson = z.object({ version: z.string() });

/** @throws CortexError lock_missing, lock_moved, base_invalid, option_invalid, and what models and the catalog throw */
export async function planPackage(
  options: PrepareOptions,
  tools: {
    readonly registry: RegistryClient;
    readonly hub: HubClient;
    readonly tempDir: string;
    readonly before: Bill | null;
  },
): Promise<PackagePlan> {
  const { rootDir, env, report, platforms } = options;
  const { registry, hub, tempDir, before } = tools;
  const lockFile = options.lockFile ?? join(rootDir, lockName);
  const oldLock = await readLock(lockFile);
  if (options.locked && oldLock === null) throw new CortexError('lock_missing', { file: lockFile });
  const lock = options.locked ? oldLock : null;
  const base = options.baseFile === undefined ? null : await readBase(options.baseFile);
  const catalog = chooseImages(options);
  const { fromEngine } = options;
  const { resolved, failure } = await resolveImages(catalog, {
    rootDir,
    env,
    platforms,
    registry,
    lock,
    tempDir,
    fromEngine:
      fromEngine === undefined ? null : { references: new Set(fromEngine.references), engine: fromEngine.engine },
    report,
  });
  for (const file of options.savedArchives ?? []) resolved.push(...(await resolveSaved(file, catalog)));
  const models = await openModels(options, hub, lock);
  const createdAt = lock?.created_at ?? new Date().toISOString();
  const images = planImages(resolved, base, options.dedupe ?? false);
  for (const { entry, member } of images)
    report({ kind: 'resolved', reference: entry.reference, file: entry.file, sizeBytes: member.sizeBytes });
  const documents = await documentsOf(resolved, rootDir);
  const unplaced = [...images.map(({ member }) => member), ...documents, ...modelMembers(models, base)];
  const folders = new PackageFolders(options.outputDir, layOut(unplaced, options.volumeBytes));
  return {
    catalog,
    images,
    models,
    members: unplaced.map((member) => bindToPlace(member, folders.piecesOf(member.name))),
    folders,
    base,
    lockFile,
    cortexVersion: packageJson.parse(JSON.parse(await readFile(join(rootDir, 'package.json'), 'utf8'))).version,
    createdAt,
    sequence: lock?.sequence ?? Math.max(before?.sequence ?? 0, oldLock?.sequence ?? 0) + 1,
    failure,
  };
}

function chooseImages(options: PrepareOptions): Catalog {
  const { rootDir, env, only, fromEngine } = options;
  const full = readCatalog({ rootDir, env }, { withBuildBases: options.withBuildBases ?? false });
  const extra = catalogOf([...(only ?? []), ...(fromEngine?.references ?? [])], full);
  if (only !== undefined) return extra;
  return [...full, ...extra.filter(({ reference }) => !full.some((entry) => entry.reference === reference))];
}

/** The images of an archive of docker save, under each of their names. */
async function resolveSaved(file: string, catalog: Catalog): Promise<ResolvedImage[]> {
  const saved = await readSavedArchive(file);
  return saved.flatMap(({ tags, open }) =>
    catalogOf(tags, catalog).map((entry) => {
      const image = open(entry.reference);
      return { entry, platform: image.platform, image, indexDigest: null, evidence: new Map() };
    }),
  );
}

async function openModels(options: PrepareOptions, hub: HubClient, lock: Lock | null): Promise<PackableModel[]> {
  const models: PackableModel[] = [];
  for (const text of options.models ?? []) {
    const source = typeof text === 'string' ? text : text.path;
    const pinned = lock?.models.find((one) => one.source === source.split('@')[0])?.revision;
    const model = await openModel(text, hub, pinned);
    if (models.some(({ name }) => name === model.name))
      throw new CortexError('option_invalid', {
        option: '--model',
        value: source,
        allowed: `one model named ${model.name}`,
      });
    models.push(model);
  }
  const warnings = models.flatMap((model) => model.warnings);
  if (options.targetFile !== undefined)
    warnings.push(...(await fitWarnings(options.targetFile, models, options.platforms)));
  for (const message of warnings) options.report({ kind: 'warning', message });
  return models;
}

function planImages(resolved: readonly ResolvedImage[], base: Base | null, dedupe: boolean): PlannedImage[] {
  const packed = new Map<string, BlobPlace>();
  return resolved.map((one) => {
    const elsewhere = new Map<string, BlobPlace | null>(base === null ? [] : layersInBase(one.image, base));
    if (dedupe) for (const [digest, place] of layersInPackage(one.image, packed)) elsewhere.set(digest, place);
    const { member, blobs } = planArchive(one.image, one.entry.file, elsewhere);
    if (dedupe) for (const blob of blobs) if (blob.file !== null) packed.set(blob.digest, blob);
    return { ...one, member, blobs };
  });
}

/** Evidence and reports that are known before anything is fetched. */
async function documentsOf(resolved: readonly ResolvedImage[], rootDir: string): Promise<Member[]> {
  const evidence = new Map(resolved.flatMap((image) => [...image.evidence]));
  const subjects = resolved
    .filter((image) => image.evidence.size > 0)
    .map((image) => ({
      reference: image.entry.reference,
      platform: image.platform,
      documents: [...image.evidence.keys()].sort(),
    }));
  const nameOf = (digest: string) => `evidence/${digest.replace(':', '-')}`;
  return [
    memberOf(sbomName, await renderSbom(rootDir)),
    memberOf('evidence/index.json', Buffer.from(`${JSON.stringify(subjects, null, 1)}\n`)),
    ...[...evidence].sort(([a], [b]) => (a < b ? -1 : 1)).map(([digest, bytes]) => memberOf(nameOf(digest), bytes)),
  ];
}

const modelMembers = (models: readonly PackableModel[], base: Base | null) =>
  models.flatMap(({ files }) =>
    files.filter(({ sha256 }) => sha256 === null || !base?.modelFiles.has(sha256)).map(({ member }) => member),
  );

function layOut(members: readonly Member[], limitBytes: number | undefined): VolumeLayout {
  if (limitBytes === undefined)
    return {
      volumes: 1,
      pieces: new Map(members.map(({ name, sizeBytes }) => [name, [{ volume: 1, name, sizeBytes }]])),
    };
  const totalBytes = members.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
  // The bill, checksums and README stand in every volume: 70 bytes for each chunk, and names, digests and prose.
  const reserveBytes = 300_000 + Math.ceil((totalBytes / chunkBytes) * 80) + members.length * 2000;
  return layOutVolumes(members, { limitBytes, reserveBytes });
}
