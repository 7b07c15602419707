import { createHash } from 'node:crypto';
import { type FileHandle, readFile, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { CortexError } from '../contract/errors.ts';
import { type Bill, type BillFile, type BlobPlace, billName, parseBill, signatureName } from './bill.ts';
import type { ByteSource } from './hash-messages.ts';
import { absent, openInside, withVolumes } from './package-folders.ts';

/** A folder of the package: a whole one, or one volume of it, wherever it is mounted. */
export interface Medium {
  readonly dir: string;
  readonly billSum: string;
}

/** One damaged or absent chunk: `index` counts `chunk_bytes` from the file's start. */
export interface BadChunk {
  readonly file: string;
  readonly index: number;
  readonly reason: string;
  readonly volume: number;
}

const repairFolder = 'chunks';
const cachedChunks = 2;
const longestChunkBytes = 64 * 1024 * 1024;
const readBytes = 4 * 1024 * 1024;

/**
 * Reads a package in place, from one folder or from any number of volumes in any order. Invariant: no byte leaves `stream`,
 * `blob` or `chunk` before the sum of its chunk was compared with the bill. A chunk that one medium has lost is taken from
 * another one, or from a repair package, where they have it.
 */
export class PackageReader {
  readonly bill: Bill;
  readonly billBytes: Buffer;
  readonly signature: Buffer | null;
  readonly media: readonly Medium[];
  readonly #roots: readonly string[];
  readonly #files: ReadonlyMap<string, BillFile>;
  readonly #handles = new Map<string, Promise<FileHandle | null>>();
  readonly #recent = new Map<string, Promise<Buffer>>();
  readonly #blobs = new Map<string, BlobPlace[]>();

  private constructor(
    bill: Bill,
    billBytes: Buffer,
    signature: Buffer | null,
    media: readonly Medium[],
    roots: readonly string[],
  ) {
    this.bill = bill;
    this.billBytes = billBytes;
    this.signature = signature;
    this.media = media;
    this.#roots = roots;
    this.#files = new Map(bill.files.map((file) => [file.name, file]));
    for (const blob of bill.images.flatMap(({ blobs }) => blobs)) {
      const known = this.#blobs.get(blob.digest) ?? [];
      if (blob.file !== null && !known.some(({ file }) => file === blob.file))
        this.#blobs.set(blob.digest, [...known, blob]);
    }
  }

  /** @throws CortexError package_not_found, bill_invalid, package_mixed */
  static async open(dirs: readonly string[]): Promise<PackageReader> {
    const found: { medium: Medium; bytes: Buffer; signature: Buffer | null }[] = [];
    const roots: string[] = [];
    for (const dir of await withVolumes(dirs)) {
      roots.push(dir);
      const bytes = await readFile(join(dir, billName)).catch(absent);
      if (bytes === null) continue;
      const billSum = createHash('sha256').update(bytes).digest('hex');
      found.push({
        medium: { dir, billSum },
        bytes,
        signature: await readFile(join(dir, signatureName)).catch(absent),
      });
    }
    const first = found[0];
    if (first === undefined) throw new CortexError('package_not_found', { dir: dirs.join(', ') });
    const bill = parseBill(first.bytes, join(first.medium.dir, billName));
    for (const { medium, bytes } of found) {
      if (medium.billSum === first.medium.billSum) continue;
      const other = parseBill(bytes, join(medium.dir, billName));
      const [older, newer] = other.sequence < bill.sequence ? [medium, first.medium] : [first.medium, medium];
      throw new CortexError('package_mixed', { older: older.dir, newer: newer.dir });
    }
    const signature = found.find((one) => one.signature !== null)?.signature ?? null;
    return new PackageReader(
      bill,
      first.bytes,
      signature,
      found.map(({ medium }) => medium),
      roots,
    );
  }

  /** Where a blob is; null where the package does not hold its bytes. */
  place(digest: string): BlobPlace | null {
    return this.#blobs.get(digest)?.[0] ?? null;
  }

  /**
   * A blob's checked bytes, or a part of them. Where one archive is damaged, another one that holds the same layer serves.
   * @throws CortexError package_file_altered, package_file_missing, volume_missing of the first copy, where none is whole
   */
  async *blob(digest: string, from = 0, to = this.place(digest)?.sizeBytes ?? 0): AsyncGenerator<Buffer> {
    let at = from;
    let problem: unknown = new CortexError('package_file_missing', { file: digest });
    for (const [index, place] of (this.#blobs.get(digest) ?? []).entries()) {
      try {
        for await (const bytes of this.stream(place.file ?? '', place.offset + at, to - at)) {
          at += bytes.length;
          yield bytes;
        }
        return;
      } catch (error) {
        if (!(error instanceof CortexError)) throw error;
        if (index === 0) problem = error;
      }
    }
    throw problem;
  }

  /** Checked bytes of a package file. */
  async *stream(name: string, offset = 0, length = this.file(name).sizeBytes - offset): AsyncGenerator<Buffer> {
    const file = this.file(name);
    const unit = this.#chunkLength(file);
    if (file.chunks.length === 0 && file.sizeBytes > longestChunkBytes) {
      yield* this.#streamWhole(file, offset, length);
      return;
    }
    const end = offset + length;
    for (let at = offset; at < end; ) {
      const index = Math.floor(at / unit);
      const chunk = await this.chunk(name, index);
      const start = at - index * unit;
      const piece = chunk.subarray(start, Math.min(chunk.length, start + end - at));
      if (piece.length === 0) return;
      yield piece;
      at += piece.length;
    }
  }

  /** Where a whole file lies in a package of one volume; null where it has to be read from pieces. */
  pathOf(name: string): string | null {
    const root = this.#roots[0];
    return root === undefined || this.file(name).pieces !== undefined || this.bill.volumes > 1
      ? null
      : join(root, name);
  }

  /** Where a file's pieces lie, for those who read them by themselves; an absent one has an empty path. */
  async sourcesOf(file: BillFile): Promise<ByteSource> {
    const pieces = file.pieces ?? [file];
    return {
      pieces: await Promise.all(
        pieces.map(async ({ name, sizeBytes }) => ({
          path: (await this.#find(name)) ?? '',
          sizeBytes,
        })),
      ),
    };
  }

  /** How many bytes of a file are there; null where it is not. */
  async sizeOnDisk(file: BillFile): Promise<number | null> {
    let total: number | null = null;
    for (const { name } of file.pieces ?? [file]) {
      const size = await this.#sizeOnDisk(name);
      if (size !== null) total = (total ?? 0) + size;
    }
    return total;
  }

  file(name: string): BillFile {
    const file = this.#files.get(name);
    if (file !== undefined) return file;
    throw new CortexError('bill_invalid', { file: billName, reason: `it does not list ${name} among its files` });
  }

  chunkCount(file: BillFile): number {
    return Math.max(1, file.chunks.length);
  }

  /** One checked chunk. @throws CortexError package_file_altered, package_file_missing, volume_missing */
  chunk(name: string, index: number): Promise<Buffer> {
    const key = `${name} ${index}`;
    const kept = this.#recent.get(key);
    if (kept !== undefined) return kept;
    const reading = this.#readChunk(this.file(name), index);
    this.#recent.set(key, reading);
    reading.catch(() => this.#recent.delete(key));
    for (const oldest of this.#recent.keys()) {
      if (this.#recent.size <= cachedChunks) break;
      this.#recent.delete(oldest);
    }
    return reading;
  }

  async close(): Promise<void> {
    for (const handle of this.#handles.values()) await (await handle)?.close();
    this.#handles.clear();
  }

  /** A format 1 archive has one sum for all of its gigabytes: it is read once for that, and once more for its bytes. */
  async *#streamWhole(file: BillFile, offset: number, length: number): AsyncGenerator<Buffer> {
    const root = this.#roots[0] ?? '';
    const size = await this.#sizeOnDisk(file.name);
    if (size === null) throw new CortexError('package_file_missing', { file: file.name });
    const altered = (detail: string) => new CortexError('package_file_altered', { file: file.name, detail });
    if (size !== file.sizeBytes) throw altered(`it has ${size} bytes instead of ${file.sizeBytes}.`);
    const read = async (at: number) => this.#readRange(root, file, at, Math.min(readBytes, file.sizeBytes - at));
    const hash = createHash('sha256');
    for (let at = 0; at < file.sizeBytes; at += readBytes) hash.update((await read(at)) ?? Buffer.alloc(0));
    if (hash.digest('hex') !== file.sha256) throw altered('its SHA-256 is not the one in manifest.json.');
    const end = offset + length;
    for (let at = Math.floor(offset / readBytes) * readBytes; at < end; at += readBytes) {
      const bytes = await read(at);
      if (bytes === null) throw altered(`it can't be read at byte ${at}.`);
      yield bytes.subarray(Math.max(0, offset - at), Math.min(bytes.length, end - at));
    }
  }

  #chunkLength(file: BillFile): number {
    return file.chunks.length === 0 ? Math.max(1, file.sizeBytes) : this.bill.chunk_bytes;
  }

  async #readChunk(file: BillFile, index: number): Promise<Buffer> {
    const unit = this.#chunkLength(file);
    const start = index * unit;
    const length = Math.min(unit, file.sizeBytes - start);
    const expected = file.chunks[index] ?? file.sha256;
    let problem: CortexError | null = null;
    for (const root of this.#roots) {
      const bytes = await this.#readRange(root, file, start, length).catch((error: unknown) => {
        // A bad sector, a stick that was pulled: another medium may still have it.
        problem = new CortexError('package_file_altered', {
          file: file.name,
          detail: `${root} can't be read there (${Object(error).code ?? error}).`,
        });
        return null;
      });
      if (bytes === null) continue;
      if (sumOf(bytes) === expected) return bytes;
      problem = new CortexError('package_file_altered', { file: file.name, detail: this.#describe(file, index, root) });
    }
    const repaired = await this.#readRepaired(expected, length);
    if (repaired !== null) return repaired;
    throw problem ?? (await this.#absent(file, index));
  }

  #describe(file: BillFile, index: number, root: string): string {
    const of = this.chunkCount(file);
    return of === 1
      ? `the copy in ${root} does not have the sum of the bill.`
      : `chunk ${index + 1} of ${of} in ${root} does not have the sum of the bill.`;
  }

  async #absent(file: BillFile, index: number): Promise<CortexError> {
    const { pieces } = file;
    if (pieces === undefined) {
      const size = await this.#sizeOnDisk(file.name);
      if (size === null) return new CortexError('package_file_missing', { file: file.name });
      const detail = `it has ${size} bytes instead of ${file.sizeBytes}.`;
      return new CortexError('package_file_altered', { file: file.name, detail });
    }
    const unit = this.#chunkLength(file);
    let at = 0;
    for (const piece of pieces) {
      at += piece.sizeBytes;
      if (at <= index * unit) continue;
      const size = await this.#sizeOnDisk(piece.name);
      if (size === piece.sizeBytes) continue;
      if (size !== null) {
        const detail = `its piece ${piece.name} has ${size} bytes instead of ${piece.sizeBytes}.`;
        return new CortexError('package_file_altered', { file: file.name, detail });
      }
      return new CortexError('volume_missing', { volume: piece.volume, volumes: this.bill.volumes, file: file.name });
    }
    return new CortexError('package_file_missing', { file: file.name });
  }

  async #sizeOnDisk(name: string): Promise<number | null> {
    const path = await this.#find(name);
    return path === null ? null : (await stat(path)).size;
  }

  /** The first folder that has it; links that lead out of the folder count for nothing. */
  async #find(name: string): Promise<string | null> {
    for (const root of this.#roots) {
      const path = join(root, name);
      const [realRoot, realFile] = await Promise.all([realpath(root).catch(() => ''), realpath(path).catch(() => '')]);
      if (realFile.startsWith(`${realRoot}${sep}`)) return path;
    }
    return null;
  }

  /** The bytes as they lie in one folder, or on its sister volumes; null where they are not all there. */
  async #readRange(root: string, file: BillFile, start: number, length: number): Promise<Buffer | null> {
    const bytes = Buffer.allocUnsafe(length);
    const pieces = file.pieces ?? [{ name: file.name, sizeBytes: file.sizeBytes, volume: 1 }];
    let pieceStart = 0;
    let filled = 0;
    for (const piece of pieces) {
      const from = Math.max(start, pieceStart);
      const to = Math.min(start + length, pieceStart + piece.sizeBytes);
      if (from < to) {
        // A chunk may begin on one volume and end on the next: the others are asked for what this one has not.
        const handle = await this.#handleOf(root, piece.name, pieces.length > 1);
        if (handle === null) return null;
        for (let done = 0; done < to - from; ) {
          const { bytesRead } = await handle.read(bytes, filled, to - from - done, from - pieceStart + done);
          if (bytesRead === 0) return null;
          done += bytesRead;
          filled += bytesRead;
        }
      }
      pieceStart += piece.sizeBytes;
    }
    return filled === length ? bytes : null;
  }

  async #handleOf(root: string, name: string, elsewhere: boolean): Promise<FileHandle | null> {
    for (const dir of elsewhere ? [root, ...this.#roots.filter((other) => other !== root)] : [root]) {
      const path = join(dir, name);
      let handle = this.#handles.get(path);
      if (handle === undefined) {
        handle = openInside(dir, path);
        this.#handles.set(path, handle);
      }
      const opened = await handle;
      if (opened !== null) return opened;
    }
    return null;
  }

  async #readRepaired(sum: string, length: number): Promise<Buffer | null> {
    for (const root of this.#roots) {
      const bytes = await readFile(join(root, repairFolder, sum)).catch(() => null);
      if (bytes !== null && bytes.length === length && sumOf(bytes) === sum) return bytes;
    }
    return null;
  }
}

const sumOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
