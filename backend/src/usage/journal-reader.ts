import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type UsageRecord, usageRecord } from '../../../contract/usage.ts';
import { isThere, readInto, readLimitBytes, segmentPath, segmentsIn, sizeOf } from './journal-files.ts';

const lf = 0x0a;
const [open, comma, close] = [0x5b, 0x2c, 0x5d];

/** Where reading goes on: a byte of a segment. */
const cursor = z.object({ segment: z.number().int(), offset: z.number().int() });
type Cursor = z.infer<typeof cursor>;

export interface Batch {
  /** Lines as they were appended, as a JSON array, unless one of them is damaged. It stands until the next is read; null is none. */
  readonly json: Buffer | null;
  /** The same, parsed; damaged lines are left out. */
  readonly records: readonly UsageRecord[];
  readonly next: Cursor;
  /** There was more to read when this was read. */
  readonly more: boolean;
}

interface ReaderLogger {
  warn(details: object, message: string): void;
}

/**
 * The other end of a usage journal, which this process or another one appends to.
 * Invariant: a record leaves the journal only after `advance` was told that the database has it, so a crash in between
 * writes it again and the database drops the second one by its request id.
 */
export class JournalReader {
  readonly #dir: string;
  readonly #logger: ReaderLogger;
  #cursor: Cursor;
  #cursorKept = true;
  /**
   * What was read, with a bracket at either end: as bytes, and always in the same place, all the way to the database. Some MB
   * of text a second were more than half of what full collections had to do.
   */
  readonly #room = Buffer.allocUnsafeSlow(readLimitBytes + 2);

  private constructor(dir: string, logger: ReaderLogger, start: Cursor) {
    this.#dir = dir;
    this.#logger = logger;
    this.#cursor = start;
  }

  static async open(dir: string, logger: ReaderLogger): Promise<JournalReader> {
    return new JournalReader(dir, logger, await readCursor(dir));
  }

  /** Bytes that the database does not have yet. */
  async depthBytes(): Promise<number> {
    const { segment, offset } = this.#cursor;
    const behind = (await segmentsIn(this.#dir)).filter((number) => number >= segment);
    const sizes = await Promise.all(behind.map((number) => sizeOf(segmentPath(this.#dir, number))));
    return Math.max(0, sizes.reduce((sum, size) => sum + size, 0) - offset);
  }

  /** The next records behind the cursor, oldest first; null when there is nothing more for now. */
  async read(limit: number): Promise<Batch | null> {
    const batch = await this.#lines(limit);
    if (batch !== null) return batch;
    const { segment } = this.#cursor;
    const newest = (await segmentsIn(this.#dir)).at(-1) ?? segment;
    if (newest === segment) return null;
    // Bytes that came before the next segment was begun; after that this one gets no more.
    return (
      (await this.#lines(limit)) ?? {
        json: null,
        records: [],
        next: { segment: segment + 1, offset: 0 },
        more: true,
      }
    );
  }

  async #lines(limit: number): Promise<Batch | null> {
    const { segment, offset } = this.#cursor;
    const room = this.#room;
    const sizeBytes = await readInto(room.subarray(1, 1 + readLimitBytes), segmentPath(this.#dir, segment), offset);
    const bytes = room.subarray(1, 1 + sizeBytes);
    const ends: number[] = [];
    for (let end = bytes.indexOf(lf); end !== -1 && ends.length < limit; end = bytes.indexOf(lf, end + 1))
      ends.push(end);
    const last = ends.at(-1);
    // No line is that long: damage, which is skipped so that what follows is reached.
    const used = last !== undefined ? last + 1 : sizeBytes === readLimitBytes ? sizeBytes : 0;
    if (used === 0) return null;
    room[0] = open;
    for (const end of ends) bytes[end] = end === last ? close : comma;
    const parse = () =>
      ends.flatMap((end, at) => this.#parse(bytes.toString('utf8', (ends[at - 1] ?? -1) + 1, end)) ?? []);
    return {
      json: last === undefined ? null : room.subarray(0, 1 + used),
      get records() {
        return parse();
      },
      next: { segment, offset: offset + used },
      more: used < sizeBytes || sizeBytes === readLimitBytes || (await isThere(segmentPath(this.#dir, segment + 1))),
    };
  }

  /** Forgets what is before `next`: call it once the database has it. */
  async advance(next: Cursor): Promise<void> {
    const done = this.#cursor.segment;
    this.#cursor = next;
    await this.#keepCursor(next);
    if (next.segment > done) await rm(segmentPath(this.#dir, done), { force: true });
  }

  /** A full disk takes no cursor; what the next start then reads again, the database drops. */
  async #keepCursor(next: Cursor): Promise<void> {
    const path = join(this.#dir, 'cursor.json');
    try {
      await writeFile(`${path}.new`, JSON.stringify(next), { mode: 0o600 });
      await rename(`${path}.new`, path);
      this.#cursorKept = true;
    } catch (error) {
      if (this.#cursorKept)
        this.#logger.warn({ err: error }, 'How far the usage journal was read cannot be kept; it may be read again');
      this.#cursorKept = false;
    }
  }

  #parse(line: string): UsageRecord | null {
    try {
      return usageRecord.parse(JSON.parse(line));
    } catch {
      if (line !== '')
        this.#logger.warn({ bytes: line.length }, 'A line of the usage journal was cut by a crash and is left out');
      return null;
    }
  }
}

/**
 * A cursor is written without a sync: when a crash took it, or took the end of the segment that it points behind, the
 * segment is read again from its start and the database drops what it has.
 */
async function readCursor(dir: string): Promise<Cursor> {
  const numbers = await segmentsIn(dir);
  const [oldest = 1] = numbers;
  const newest = numbers.at(-1) ?? oldest;
  const found = await readFile(join(dir, 'cursor.json'), 'utf8')
    .then((text) => cursor.parse(JSON.parse(text)))
    .catch(() => null);
  if (found === null || found.segment < oldest || found.segment > newest) return { segment: oldest, offset: 0 };
  return found.offset > (await sizeOf(segmentPath(dir, found.segment))) ? { segment: found.segment, offset: 0 } : found;
}
