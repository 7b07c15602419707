import type { Bill, BillFile, BillImage, BillModel } from './bill.ts';
import { chunkBytes, formatVersion, publicKeyName, readmeName, sealBill } from './bill.ts';
import type { FileSums, HashPool } from './hash-pool.ts';
import type { Lock } from './lock.ts';
import { type Signer, smallFile } from './package-writer.ts';
import type { PackagePlan, PlannedImage } from './prepare-plan.ts';
import { renderReadme } from './readme.ts';

export interface BillParts {
  readonly plan: PackagePlan;
  readonly sums: ReadonlyMap<string, FileSums>;
  readonly platforms: readonly string[];
  readonly dedupe: boolean;
  readonly signer: Signer | null;
  /** Reports that were made after the archives. */
  readonly scans: readonly BillFile[];
  /** Optional images of the package before that could not be reached today: they stay as they are. */
  readonly kept: { readonly images: readonly BillImage[]; readonly files: readonly BillFile[] };
  readonly before: Bill | null;
}

/** What the folder holds, as its bill; and the README, which the bill covers too. */
export function assembleBill(parts: BillParts): { bill: Bill; readme: Buffer } {
  const { plan, sums, dedupe, kept, before } = parts;
  const { folders, base } = plan;
  const images = [...plan.images.filter(({ member }) => sums.has(member.name)).map(billImageOf), ...kept.images];
  const models = plan.models.map((model) => billModelOf(model, sums));
  const readme = Buffer.from(
    renderReadme({
      version: plan.cortexVersion,
      images,
      models,
      volumes: folders.layout.volumes,
      base: base?.named ?? null,
      isSigned: parts.signer !== null,
      dedupe,
    }),
  );
  const files = plan.members.flatMap(({ name, sizeBytes }): BillFile[] => {
    const found = sums.get(name);
    if (found === undefined) return [];
    const pieces = folders.piecesOf(name);
    const isCut = folders.layout.volumes > 1;
    return [
      { name, sizeBytes, sha256: found.sha256, chunks: [...found.chunks], ...(isCut ? { pieces: [...pieces] } : {}) },
    ];
  });
  const content: Omit<Bill, 'package_id'> = {
    format_version: formatVersion,
    critical: [
      ...(base === null ? [] : ['delta']),
      ...(folders.layout.volumes > 1 ? ['volumes'] : []),
      ...(dedupe ? ['dedupe'] : []),
    ],
    sequence: plan.sequence,
    created_at: plan.createdAt,
    cortex_version: plan.cortexVersion,
    platforms: [...parts.platforms],
    base: base?.named ?? null,
    chunk_bytes: chunkBytes,
    volumes: folders.layout.volumes,
    images,
    models,
    files: [
      ...files,
      ...kept.files,
      ...parts.scans,
      smallFile(readmeName, readme),
      ...(parts.signer === null ? [] : [smallFile(publicKeyName, Buffer.from(parts.signer.publicKey.pem))]),
    ],
  };
  // Nothing new: the package that stands there stays the one that it is, with its number and its date.
  const same =
    before === null ? null : sealBill({ ...content, sequence: before.sequence, created_at: before.created_at });
  if (same !== null && same.package_id === before?.package_id) return { bill: same, readme };
  return { bill: sealBill(content), readme };
}

function billImageOf({ entry, platform, image, indexDigest, member, blobs }: PlannedImage): BillImage {
  const { key, reference, file, role, purpose } = entry;
  return {
    key,
    reference,
    file,
    role,
    purpose,
    platform,
    index_digest: indexDigest,
    manifest_digest: image.manifest.digest,
    manifest_media_type: image.manifest.mediaType,
    config_digest: image.config.descriptor.digest,
    diff_ids: [...image.diffIds],
    sizeBytes: member.sizeBytes,
    blobs,
  };
}

const billModelOf = (model: PackagePlan['models'][number], sums: ReadonlyMap<string, FileSums>): BillModel => ({
  name: model.name,
  source: model.source,
  revision: model.revision,
  licence: model.licence,
  files: model.files.map(({ path, sizeBytes, sha256, member }) => ({
    path,
    sizeBytes,
    sha256: sums.get(member.name)?.sha256 ?? sha256 ?? '',
    packed: sums.has(member.name),
  })),
});

export function lockOf(bill: Bill, plan: PackagePlan): Lock {
  const images = plan.images.flatMap(({ entry, platform, image, indexDigest, builtFrom }) => [
    {
      reference: entry.reference,
      platform,
      index_digest: indexDigest,
      manifest_digest: image.manifest.digest,
      config_digest: image.config.descriptor.digest,
    },
    ...(builtFrom === undefined ? [] : [builtFrom]),
  ]);
  const models = plan.models.flatMap(({ source, revision }) => (revision === null ? [] : [{ source, revision }]));
  return { lock_version: 1, sequence: bill.sequence, created_at: bill.created_at, images, models };
}

/** An optional image that no registry gave today stays in the package as long as its archive still has its sum. */
export async function unreachedImages(
  before: Bill | null,
  plan: PackagePlan,
  pool: HashPool,
): Promise<BillParts['kept']> {
  const images: BillImage[] = [];
  const files: BillFile[] = [];
  const { folders, catalog } = plan;
  for (const image of before?.images ?? []) {
    const isListed = catalog.some(({ file, reference }) => file === image.file && reference === image.reference);
    const isMade = plan.images.some(({ entry }) => entry.file === image.file);
    const file = before?.files.find(({ name }) => name === image.file);
    const isWhole = image.blobs.every((blob) => blob.file === image.file);
    if (!isListed || isMade || !isWhole || file === undefined || file.pieces !== undefined) continue;
    if (folders.layout.volumes > 1) continue;
    const source = { pieces: [{ path: `${folders.outputDir}/${file.name}`, sizeBytes: file.sizeBytes }] };
    const [sum] = await pool.sums([{ source, offset: 0, sizeBytes: file.sizeBytes }]);
    if (sum !== file.sha256) continue;
    images.push(image);
    files.push(file);
  }
  return { images, files };
}
