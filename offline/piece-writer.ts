import { type FileHandle, mkdir, open, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from './durable-file.ts';
import type { ByteSource } from './hash-messages.ts';

interface OpenPiece {
  readonly path: string;
  readonly file: FileHandle;
  readonly start: number;
  readonly end: number;
}

const suffix = '.partial';

/** A package file while it is written: on one volume or cut over several, at any offset in any order. */
export class PieceWriter {
  readonly #pieces: readonly OpenPiece[];
  #closed = false;
  readonly source: ByteSource;

  private constructor(pieces: readonly OpenPiece[]) {
    this.#pieces = pieces;
    this.source = {
      pieces: pieces.map(({ path, start, end }) => ({ path: `${path}${suffix}`, sizeBytes: end - start })),
    };
  }

  /** Opens the pieces at their full size; what an interrupted run wrote stays. */
  static async open(pieces: readonly { readonly path: string; readonly sizeBytes: number }[]): Promise<PieceWriter> {
    const opened: OpenPiece[] = [];
    let start = 0;
    for (const { path, sizeBytes } of pieces) {
      await mkdir(dirname(path), { recursive: true });
      const file = await open(`${path}${suffix}`, 'a+').then(async (made) => {
        await made.close();
        return open(`${path}${suffix}`, 'r+');
      });
      await file.truncate(sizeBytes);
      opened.push({ path, file, start, end: start + sizeBytes });
      start += sizeBytes;
    }
    return new PieceWriter(opened);
  }

  /** Writes buffers one after the other from an offset of the whole file. */
  async write(buffers: readonly Buffer[], offset: number): Promise<void> {
    let at = offset;
    let rest = [...buffers];
    for (const piece of this.#pieces) {
      if (rest.length === 0) return;
      if (at >= piece.end || at < piece.start) continue;
      const [here, later] = splitAt(rest, piece.end - at);
      await writeAll(piece.file, here, at - piece.start);
      at += here.reduce((total, bytes) => total + bytes.length, 0);
      rest = later;
    }
    if (rest.length > 0) throw new Error('a write behind the end of the file');
  }

  /** To the disk; what `finish` or `close` had is there already. */
  async sync(): Promise<void> {
    if (this.#closed) return;
    await Promise.all(this.#pieces.map(({ file }) => file.datasync()));
  }

  /** To the disk, then to its name: what has its name is whole. */
  async finish(): Promise<void> {
    this.#closed = true;
    for (const { file, path } of this.#pieces) {
      await file.sync();
      await file.close();
      await rename(`${path}${suffix}`, path);
      await syncFolder(dirname(path));
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#pieces.map(({ file }) => file.close()));
  }
}

/** How much of a file an interrupted run has on the disk already. */
export async function partialBytes(paths: readonly string[]): Promise<number> {
  const sizes = await Promise.all(
    paths.map((path) =>
      stat(`${path}${suffix}`).then(
        ({ blocks }) => blocks * 512,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((total, size) => total + size, 0);
}

export const isPartial = (name: string): boolean => name.endsWith(suffix);

function splitAt(buffers: readonly Buffer[], length: number): [Buffer[], Buffer[]] {
  const here: Buffer[] = [];
  const later: Buffer[] = [];
  let room = length;
  for (const bytes of buffers) {
    if (room > 0) here.push(bytes.subarray(0, room));
    if (bytes.length > room) later.push(bytes.subarray(room));
    room = Math.max(0, room - bytes.length);
  }
  return [here, later];
}

async function writeAll(file: FileHandle, buffers: readonly Buffer[], offset: number): Promise<void> {
  let rest = [...buffers];
  let at = offset;
  while (rest.length > 0) {
    // A write may take less than it was given.
    const { bytesWritten } = await file.writev(rest, at);
    at += bytesWritten;
    [, rest] = splitAt(rest, bytesWritten);
  }
}
