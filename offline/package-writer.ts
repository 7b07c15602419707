import { createHash } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  type Bill,
  type BillFile,
  billName,
  checksumsName,
  chunkBytes,
  publicKeyName,
  readmeName,
  renderBill,
  signatureName,
} from './bill.ts';
import { writeDurably } from './durable-file.ts';
import type { HashPool } from './hash-pool.ts';
import { isPartial } from './piece-writer.ts';
import type { readSigner } from './signing.ts';
import { signBytes } from './signing.ts';
import { type Piece, type VolumeLayout, volumeFolder } from './volume-layout.ts';

export type Signer = NonNullable<Awaited<ReturnType<typeof readSigner>>>;

/** Where the package's files stand: one folder, or one for each volume. */
export class PackageFolders {
  readonly outputDir: string;
  readonly layout: VolumeLayout;

  constructor(outputDir: string, layout: VolumeLayout) {
    this.outputDir = outputDir;
    this.layout = layout;
  }

  get all(): string[] {
    if (this.layout.volumes === 1) return [this.outputDir];
    return Array.from({ length: this.layout.volumes }, (_, index) => join(this.outputDir, volumeFolder(index + 1)));
  }

  piecesOf(name: string): readonly Piece[] {
    const pieces = this.layout.pieces.get(name);
    if (pieces === undefined) throw new Error(`${name} has no place`);
    return pieces;
  }

  pathsOf(name: string): { path: string; sizeBytes: number }[] {
    return this.piecesOf(name).map((piece) => ({
      path: join(this.all[piece.volume - 1] ?? this.outputDir, piece.name),
      sizeBytes: piece.sizeBytes,
    }));
  }
}

/** The entry of a small file that stands in every volume. */
export function smallFile(name: string, bytes: Buffer): BillFile {
  const chunks: string[] = [];
  if (bytes.length > chunkBytes)
    for (let at = 0; at < bytes.length; at += chunkBytes) chunks.push(sumOf(bytes.subarray(at, at + chunkBytes)));
  return { name, sizeBytes: bytes.length, sha256: sumOf(bytes), chunks };
}

/**
 * Writes what makes a folder a package: README, key, checksums, signature, and last of all the bill. Where manifest.json
 * stands, everything that it names is there.
 */
export async function writeFurniture(
  bill: Bill,
  { folders, signer, readme, pool }: { folders: PackageFolders; signer: Signer | null; readme: Buffer; pool: HashPool },
): Promise<void> {
  const bytes = renderBill(bill);
  const signature = signer === null ? null : signBytes(signer.key, bytes);
  for (const [index, dir] of folders.all.entries()) {
    await mkdir(dir, { recursive: true });
    await writeDurably(join(dir, readmeName), readme);
    if (signer !== null) await writeDurably(join(dir, publicKeyName), Buffer.from(signer.publicKey.pem));
    const sums = [...(await sumsOnVolume(bill, index + 1, folders, pool)), { name: billName, sha256: sumOf(bytes) }];
    await writeDurably(
      join(dir, checksumsName),
      Buffer.from(sums.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join('')),
    );
    if (signature !== null) await writeDurably(join(dir, signatureName), signature);
    else await rm(join(dir, signatureName), { force: true });
    await writeDurably(join(dir, billName), bytes);
  }
}

/** What `sha256sum -c` of one volume compares: whole files by the bill, cut ones piece by piece. */
async function sumsOnVolume(bill: Bill, volume: number, folders: PackageFolders, pool: HashPool) {
  const sums: { name: string; sha256: string }[] = [];
  for (const file of bill.files) {
    if (file.pieces === undefined) {
      const at = folders.layout.pieces.get(file.name)?.[0]?.volume ?? volume;
      if (at === volume) sums.push({ name: file.name, sha256: file.sha256 });
      continue;
    }
    for (const piece of file.pieces.filter((one) => one.volume === volume)) {
      const path = join(folders.all[volume - 1] ?? folders.outputDir, piece.name);
      const source = { pieces: [{ path, sizeBytes: piece.sizeBytes }] };
      const [sha256] = await pool.sums([{ source, offset: 0, sizeBytes: piece.sizeBytes }]);
      if (sha256 != null) sums.push({ name: piece.name, sha256 });
    }
  }
  return sums;
}

/** From here on the folder is no whole package, until a bill stands in it again. */
export async function removeBills(folders: readonly string[]): Promise<void> {
  for (const dir of folders)
    for (const name of [billName, signatureName, checksumsName]) await rm(join(dir, name), { force: true });
}

/**
 * Removes what earlier preparations wrote and this package does not have: a carried folder must not mix generations. Only
 * what an earlier bill names is ours to remove; anything else stays, and `verify` tells of it.
 */
export async function removeStale(before: Bill | null, bill: Bill, folders: PackageFolders): Promise<string[]> {
  const wanted = new Set<string>();
  for (const file of bill.files) for (const { path } of pathsIn(file, folders)) wanted.add(path);
  const ours = new Set(
    before?.files.flatMap((file) => [file.name, ...(file.pieces ?? []).map(({ name }) => name)]) ?? [],
  );
  const removed: string[] = [];
  const roots = [folders.outputDir, ...(await volumesIn(folders.outputDir))];
  for (const root of roots) {
    const isUsed = folders.all.includes(root);
    for (const name of await filesBelow(root, '')) {
      const path = join(root, name);
      const isOurs = ours.has(name) || isPartial(name) || (!isUsed && furniture.has(name));
      if (wanted.has(path) || !isOurs || (isUsed && furniture.has(name))) continue;
      await rm(path, { force: true });
      await rm(dirname(path), { recursive: false }).catch(() => undefined);
      removed.push(name);
    }
  }
  return [...new Set(removed)].filter((name) => !furniture.has(name));
}

export const furniture: ReadonlySet<string> = new Set([
  billName,
  signatureName,
  checksumsName,
  readmeName,
  publicKeyName,
]);

function pathsIn(file: BillFile, folders: PackageFolders): { path: string }[] {
  if (folders.layout.pieces.has(file.name)) return folders.pathsOf(file.name);
  return folders.all.map((dir) => ({ path: join(dir, file.name) }));
}

async function volumesIn(dir: string): Promise<string[]> {
  const names = await readdir(dir).catch((): string[] => []);
  return names.filter((name) => /^volume-\d{3,4}$/.test(name)).map((name) => join(dir, name));
}

/** Names of all files below a folder, volumes left out. */
export async function filesBelow(root: string, prefix: string): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await readdir(join(root, prefix), { withFileTypes: true }).catch(() => [])) {
    const name = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
    if (!entry.isDirectory()) names.push(name);
    else if (prefix !== '' || !/^volume-\d{3,4}$/.test(entry.name)) names.push(...(await filesBelow(root, name)));
  }
  return names;
}

const sumOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
