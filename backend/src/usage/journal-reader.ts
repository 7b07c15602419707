import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type UsageRecord, usageRecord } from '../../../contract/usage.ts';
import { isThere, readFrom, readLimitBytes, segmentPath, segmentsIn, sizeOf } from './journal-files.ts';

const lf = 0x0a;

/** Where reading goes on: a byte of a segment. */
const cursor = z.object({ segment: z.number().int(), offset: z.number().int() });
type Cursor = z.infer<typeof cursor>;

export interface Batch {
  /** Lines as they were appended, with commas between: what stands inside a JSON array, unless one of them is damaged. */
  readonly lines: string;
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
      (await this.#lines(limit)) ?? { lines: '', records: [], next: { segment: segment + 1, offset: 0 }, more: true }
    );
  }

  async #lines(limit: number): Promise<Batch | null> {
    const { segment, offset } = this.#cursor;
    const bytes = await readFrom(segmentPath(this.#dir, segment), offset);
    let used = 0;
    let count = 0;
    for (let end = bytes.indexOf(lf); end !== -1 && count < limit; end = bytes.indexOf(lf, used)) {
      used = end + 1;
      count += 1;
    }
    const text = bytes.toString('utf8', 0, Math.max(0, used - 1));
    // No line is that long: damage, which is skipped so that what follows is reached.
    if (used === 0 && bytes.length === readLimitBytes) used = bytes.length;
    if (used === 0) return null;
    const parse = () => text.split('\n').flatMap((line) => this.#parse(line) ?? []);
    return {
      lines: text.replaceAll('\n', ','),
      get records() {
        return parse();
      },
      next: { segment, offset: offset + used },
      more:
        used < bytes.length || bytes.length === readLimitBytes || (await isThere(segmentPath(this.#dir, segment + 1))),
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
