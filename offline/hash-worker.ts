import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import type { ByteSource, HashAnswer, HashRequest } from './hash-messages.ts';

const port = parentPort;
if (!port) throw new Error('hash-worker.ts runs as a worker thread only');

// Synchronous reads in a thread of its own: what was just written comes from the page cache at memory speed.
const buffer = Buffer.allocUnsafe(1024 * 1024);
const say = (answer: HashAnswer) => port.postMessage(answer);

class Reader {
  readonly #source: ByteSource;
  readonly #open = new Map<string, number>();
  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** Calls `use` with the bytes from `from` to `to`. @throws Error where they are not all there */
  read(from: number, to: number, use: (bytes: Buffer) => void): void {
    let start = 0;
    for (const { path, sizeBytes } of this.#source.pieces) {
      let at = Math.max(from, start);
      const end = Math.min(to, start + sizeBytes);
      while (at < end) {
        const read = readSync(this.#handle(path), buffer, 0, Math.min(buffer.length, end - at), at - start);
        if (read === 0) throw new Error(`${path} ends early`);
        use(buffer.subarray(0, read));
        at += read;
      }
      start += sizeBytes;
    }
    if (to > start) throw new Error('the file is shorter than it should be');
  }

  close(): void {
    for (const handle of this.#open.values()) closeSync(handle);
    this.#open.clear();
  }

  #handle(path: string): number {
    const known = this.#open.get(path);
    if (known !== undefined) return known;
    const opened = openSync(path, 'r');
    this.#open.set(path, opened);
    return opened;
  }
}

interface Following {
  readonly reader: Reader;
  readonly sizeBytes: number;
  readonly chunkBytes: number;
  readonly marks: readonly { readonly offset: number; readonly sizeBytes: number }[];
  readonly whole: Hash;
  readonly chunks: string[];
  chunk: Hash;
  mark: number;
  markHash: Hash;
  at: number;
}
const following = new Map<number, Following>();

function advance(job: number, upTo: number): void {
  const state = following.get(job);
  if (state === undefined) return;
  while (state.at < upTo) {
    const chunkEnd = (Math.floor(state.at / state.chunkBytes) + 1) * state.chunkBytes;
    const mark = state.marks[state.mark];
    const markEdge = mark === undefined ? upTo : state.at < mark.offset ? mark.offset : mark.offset + mark.sizeBytes;
    const end = Math.min(upTo, chunkEnd, markEdge, state.sizeBytes);
    const inMark = mark !== undefined && state.at >= mark.offset;
    state.reader.read(state.at, end, (bytes) => {
      state.whole.update(bytes);
      state.chunk.update(bytes);
      if (inMark) state.markHash.update(bytes);
    });
    state.at = end;
    if (end === chunkEnd || end === state.sizeBytes) {
      state.chunks.push(state.chunk.digest('hex'));
      state.chunk = createHash('sha256');
    }
    finishMarks(job, state);
  }
  if (state.at < state.sizeBytes) return;
  following.delete(job);
  state.reader.close();
  const chunks = state.sizeBytes > state.chunkBytes ? state.chunks : [];
  say({ kind: 'whole', job, sha256: state.whole.digest('hex'), chunks });
}

function finishMarks(job: number, state: Following): void {
  for (let mark = state.marks[state.mark]; mark !== undefined && state.at >= mark.offset + mark.sizeBytes; ) {
    say({ kind: 'mark', job, index: state.mark, sum: state.markHash.digest('hex') });
    state.markHash = createHash('sha256');
    state.mark += 1;
    mark = state.marks[state.mark];
  }
}

function sums(ranges: Extract<HashRequest, { kind: 'sums' }>['ranges']): (string | null)[] {
  const readers = new Map<ByteSource, Reader>();
  try {
    return ranges.map(({ source, offset, sizeBytes }) => {
      const reader = readers.get(source) ?? new Reader(source);
      readers.set(source, reader);
      const hash = createHash('sha256');
      try {
        reader.read(offset, offset + sizeBytes, (bytes) => hash.update(bytes));
        return hash.digest('hex');
      } catch {
        return null;
      }
    });
  } finally {
    for (const reader of readers.values()) reader.close();
  }
}

port.on('message', (request: HashRequest) => {
  const { job } = request;
  try {
    if (request.kind === 'sums') {
      say({ kind: 'sums', job, sums: sums(request.ranges) });
    } else if (request.kind === 'advance') {
      advance(job, request.upTo);
    } else {
      const { source, chunkBytes, marks } = request;
      following.set(job, {
        reader: new Reader(source),
        sizeBytes: source.pieces.reduce((total, piece) => total + piece.sizeBytes, 0),
        chunkBytes,
        marks,
        whole: createHash('sha256'),
        chunks: [],
        chunk: createHash('sha256'),
        mark: 0,
        markHash: createHash('sha256'),
        at: 0,
      });
      advance(job, 0);
    }
  } catch (error) {
    following.get(job)?.reader.close();
    following.delete(job);
    say({ kind: 'failed', job, message: error instanceof Error ? error.message : String(error) });
  }
});
