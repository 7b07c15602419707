import { mkdirSync, writeSync } from 'node:fs';
import { type FileHandle, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type UsageRecord, usageRecord } from '../../../contract/usage.ts';

interface JournalLogger {
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

/** Where reading goes on: a byte of a segment. */
const cursor = z.object({ segment: z.number().int(), offset: z.number().int() });
type Cursor = z.infer<typeof cursor>;

export interface Batch {
  readonly records: readonly UsageRecord[];
  readonly next: Cursor;
}

const defaultSegmentLimitBytes = 16 * 1024 * 1024;
const readBytes = 1024 * 1024;
const retryMs = 1000;
const syncMs = 1000;
/** Some 50 MB: what is kept in memory while the disk takes nothing. */
const waitingLimit = 100_000;
const segmentName = (number: number) => `journal-${String(number).padStart(8, '0')}.jsonl`;

interface OpenSegment {
  readonly file: FileHandle;
  readonly number: number;
  /** How far it holds whole lines; behind it may stand what is left of a write that failed. */
  sizeBytes: number;
}

/**
 * The usage journal: one JSON line a request, appended to a file before the database hears of it.
 * Invariants: a line is handed to the system before `append` returns, so it survives the end of this process; it is synced
 * to disk at most a second later; a record leaves the journal only after `advance` was told that the
 * database has it, so a crash in between writes it again and the database drops the second one by its request id.
 */
export class UsageJournal {
  readonly #dir: string;
  readonly #logger: JournalLogger;
  readonly #segmentLimitBytes: number;
  #segment: OpenSegment;
  #cursor: Cursor;
  #waiting: string[] = [];
  #dropped = 0;
  #writing: Promise<void> | null = null;
  #retry: NodeJS.Timeout | null = null;
  #dirty = false;
  readonly #syncTimer: NodeJS.Timeout;
  /** Called after each append that reached the file. */
  onAppend: () => void = () => undefined;
  ok = true;

  private constructor(options: JournalOptions, segment: OpenSegment, start: Cursor) {
    this.#dir = options.dir;
    this.#logger = options.logger;
    this.#segmentLimitBytes = options.segmentLimitBytes ?? defaultSegmentLimitBytes;
    this.#segment = segment;
    this.#cursor = start;
    this.#syncTimer = setInterval(() => void this.#sync(), syncMs).unref();
  }

  static async open(options: JournalOptions): Promise<UsageJournal> {
    const { dir } = options;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const numbers = await segmentsIn(dir);
    const segment = await openSegment(dir, numbers.at(-1) ?? 1);
    // A line that was cut by a crash must not swallow the next one.
    if (segment.sizeBytes > 0 && !(await endsWithNewline(join(dir, segmentName(segment.number)), segment.sizeBytes))) {
      await segment.file.appendFile('\n');
      segment.sizeBytes += 1;
    }
    return new UsageJournal(options, segment, await readCursor(dir, numbers[0] ?? segment.number, segment.number));
  }

  /** How many records wait in memory because the disk takes nothing. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Records that were left out since the disk takes nothing and memory is bounded. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Bytes of the newest file that the database does not have yet; older files count whole. */
  get depthBytes(): number {
    const files = this.#segment.number - this.#cursor.segment;
    return files * this.#segmentLimitBytes + this.#segment.sizeBytes - this.#cursor.offset;
  }

  /** Takes a record. Never waits for the disk and never throws: the request path goes on. */
  append(record: UsageRecord): void {
    if (this.#waiting.length >= waitingLimit) {
      this.#dropped += 1;
      return;
    }
    const line = `${JSON.stringify(record)}\n`;
    if (this.ok && this.#writing === null && this.#appendNow(line)) return;
    this.#waiting.push(line);
    if (this.#retry === null) this.#writing ??= this.#write();
  }

  /** The next records behind the cursor, oldest first; null when there is nothing more for now. */
  async read(limit: number): Promise<Batch | null> {
    const { segment, offset } = this.#cursor;
    // Asked before the bytes: a segment that is not the newest gets no more of them.
    const isComplete = segment < this.#segment.number;
    const bytes = await readFrom(join(this.#dir, segmentName(segment)), offset);
    const records: UsageRecord[] = [];
    let used = 0;
    for (let end = bytes.indexOf(0x0a, used); end !== -1 && records.length < limit; end = bytes.indexOf(0x0a, used)) {
      const record = this.#parse(bytes.subarray(used, end).toString('utf8'));
      if (record !== null) records.push(record);
      used = end + 1;
    }
    // No line is that long: damage, which is skipped so that what follows is reached.
    if (used === 0 && bytes.length === readBytes) used = bytes.length;
    if (used > 0) return { records, next: { segment, offset: offset + used } };
    return isComplete ? { records, next: { segment: segment + 1, offset: 0 } } : null;
  }

  /** Forgets what is before `next`: call it once the database has it. */
  async advance(next: Cursor): Promise<void> {
    const path = join(this.#dir, 'cursor.json');
    await writeFile(`${path}.new`, JSON.stringify(next), { mode: 0o600 });
    await rename(`${path}.new`, path);
    const done = this.#cursor.segment;
    this.#cursor = next;
    if (next.segment > done) await rm(join(this.#dir, segmentName(done)), { force: true });
  }

  /** Resolves when all that was appended is in the file, or the file can't take it now. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  /** Tries once more to write what waits. */
  async close(): Promise<void> {
    clearInterval(this.#syncTimer);
    await this.#writing;
    if (this.#waiting.length > 0) await this.#write();
    if (this.#retry !== null) clearTimeout(this.#retry);
    const lost = this.#waiting.length + this.#dropped;
    if (lost > 0) this.#logger.error({ records: lost }, 'Usage records are lost: the journal could not be written');
    await this.#sync();
    await this.#segment.file.close();
  }

  /** Some microseconds, as the system only copies it; false where the slow way has to be taken. */
  #appendNow(line: string): boolean {
    if (this.#waiting.length > 0 || this.#segment.sizeBytes > this.#segmentLimitBytes) return false;
    const bytes = Buffer.from(line);
    try {
      // Half a line is cut off by the next write.
      if (writeSync(this.#segment.file.fd, bytes) !== bytes.length) throw new Error('the disk took only a part');
    } catch (error) {
      this.#waiting.push(line);
      this.#failed(error);
      return true;
    }
    this.#segment.sizeBytes += bytes.length;
    this.#dirty = true;
    this.onAppend();
    return true;
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const lines = this.#waiting;
      this.#waiting = [];
      try {
        await this.#appendWhole(Buffer.from(lines.join('')));
      } catch (error) {
        // A full disk: the records stay in memory and are tried again, in their order.
        this.#waiting = lines.concat(this.#waiting);
        this.#failed(error);
        break;
      }
      this.#dirty = true;
      this.#recovered();
      this.onAppend();
    }
    this.#writing = null;
  }

  async #appendWhole(bytes: Buffer): Promise<void> {
    if (this.#segment.sizeBytes > this.#segmentLimitBytes) await this.#rotate();
    // What a failed write left would stand before the next line and spoil it.
    if (!this.ok) await this.#segment.file.truncate(this.#segment.sizeBytes);
    await this.#segment.file.appendFile(bytes);
    this.#segment.sizeBytes += bytes.length;
  }

  #failed(error: unknown): void {
    if (this.ok) this.#logger.error({ err: error }, 'The usage journal cannot be written; records wait in memory');
    this.ok = false;
    this.#retry = setTimeout(() => {
      this.#retry = null;
      this.#writing ??= this.#write();
    }, retryMs).unref();
  }

  #recovered(): void {
    if (!this.ok) this.#logger.warn({ dropped: this.#dropped }, 'The usage journal can be written again');
    this.ok = true;
    this.#dropped = 0;
  }

  async #rotate(): Promise<void> {
    await this.#sync();
    const next = await openSegment(this.#dir, this.#segment.number + 1);
    const last = this.#segment;
    this.#segment = next;
    await last.file.close();
  }

  async #sync(): Promise<void> {
    if (!this.#dirty) return;
    this.#dirty = false;
    await this.#segment.file
      .datasync()
      .catch((error: unknown) => this.#logger.error({ err: error }, 'The usage journal cannot be synced'));
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

export interface JournalOptions {
  readonly dir: string;
  readonly logger: JournalLogger;
  /** At this size the next segment begins. */
  readonly segmentLimitBytes?: number;
}

async function openSegment(dir: string, number: number): Promise<OpenSegment> {
  const file = await open(join(dir, segmentName(number)), 'a', 0o600);
  const { size } = await file.stat();
  const folder = await open(dir, 'r');
  // Else a power cut could take the new file's name away with all that it holds.
  await folder.sync().finally(() => folder.close());
  return { file, number, sizeBytes: size };
}

async function segmentsIn(dir: string): Promise<number[]> {
  const names = await readdir(dir);
  return names
    .flatMap((name) => /^journal-(\d{8})\.jsonl$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

/**
 * A cursor is written without a sync: when a crash took it, or took the end of the segment that it points behind, the
 * segment is read again from its start and the database drops what it has.
 */
async function readCursor(dir: string, oldest: number, newest: number): Promise<Cursor> {
  const found = await readFile(join(dir, 'cursor.json'), 'utf8')
    .then((text) => cursor.parse(JSON.parse(text)))
    .catch(() => null);
  if (found === null || found.segment < oldest || found.segment > newest) return { segment: oldest, offset: 0 };
  const { size } = await stat(join(dir, segmentName(found.segment)));
  return found.offset > size ? { segment: found.segment, offset: 0 } : found;
}

async function endsWithNewline(path: string, sizeBytes: number): Promise<boolean> {
  const last = await readFrom(path, sizeBytes - 1);
  return last[0] === 0x0a;
}

async function readFrom(path: string, offset: number): Promise<Buffer> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size <= offset) return Buffer.alloc(0);
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(Math.min(readBytes, size - offset));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
