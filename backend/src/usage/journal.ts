import { mkdirSync } from 'node:fs';
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

const segmentLimitBytes = 16 * 1024 * 1024;
const readBytes = 1024 * 1024;
const segmentName = (number: number) => `journal-${String(number).padStart(8, '0')}.jsonl`;

/**
 * The usage journal: one JSON line a request, appended to a file before the database hears of it.
 * Invariants: a line is handed to the system as soon as the write before it is done, so it survives the end of this
 * process; it is synced to disk at most a second later; a record leaves the journal only after `advance` was told that the
 * database has it, so a crash in between writes it again and the database drops the second one by its request id.
 */
export class UsageJournal {
  readonly #dir: string;
  readonly #logger: JournalLogger;
  #file: FileHandle;
  #segment: number;
  #sizeBytes: number;
  #cursor: Cursor;
  #waiting: string[] = [];
  #writing: Promise<void> | null = null;
  #dirty = false;
  readonly #syncTimer: NodeJS.Timeout;
  /** Called after each append that reached the file. */
  onAppend: () => void = () => undefined;
  ok = true;

  private constructor(
    dir: string,
    logger: JournalLogger,
    file: FileHandle,
    segment: number,
    sizeBytes: number,
    start: Cursor,
  ) {
    this.#dir = dir;
    this.#logger = logger;
    this.#file = file;
    this.#segment = segment;
    this.#sizeBytes = sizeBytes;
    this.#cursor = start;
    this.#syncTimer = setInterval(() => void this.#sync(), 1000).unref();
  }

  static async open({ dir, logger }: { dir: string; logger: JournalLogger }): Promise<UsageJournal> {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const numbers = await segmentsIn(dir);
    const segment = numbers.at(-1) ?? 1;
    const path = join(dir, segmentName(segment));
    const file = await open(path, 'a', 0o600);
    let { size } = await file.stat();
    // A line that was cut by a crash must not swallow the next one.
    if (size > 0 && (await readFile(path)).at(-1) !== 0x0a) {
      await file.appendFile('\n');
      size += 1;
    }
    return new UsageJournal(dir, logger, file, segment, size, await readCursor(dir, numbers[0] ?? segment));
  }

  /** Takes a record. Never waits and never throws: the request path goes on. */
  append(record: UsageRecord): void {
    this.#waiting.push(`${JSON.stringify(record)}\n`);
    this.#writing ??= this.#write();
  }

  /** The next records behind the cursor, oldest first; empty when there are none. */
  async read(limit: number): Promise<Batch> {
    const { segment, offset } = this.#cursor;
    const bytes = await readFrom(join(this.#dir, segmentName(segment)), offset);
    const records: UsageRecord[] = [];
    let used = 0;
    for (let end = bytes.indexOf(0x0a, used); end !== -1 && records.length < limit; end = bytes.indexOf(0x0a, used)) {
      const record = this.#parse(bytes.subarray(used, end).toString('utf8'));
      if (record !== null) records.push(record);
      used = end + 1;
    }
    if (used === 0 && segment < this.#segment) return { records, next: { segment: segment + 1, offset: 0 } };
    return { records, next: { segment, offset: offset + used } };
  }

  /** Forgets what is before `next`: call it once the database has it. */
  async advance(next: Cursor): Promise<void> {
    if (next.segment === this.#cursor.segment && next.offset === this.#cursor.offset) return;
    const path = join(this.#dir, 'cursor.json');
    await writeFile(`${path}.new`, JSON.stringify(next), { mode: 0o600 });
    await rename(`${path}.new`, path);
    const done = this.#cursor.segment;
    this.#cursor = next;
    if (next.segment > done) await rm(join(this.#dir, segmentName(done)), { force: true });
  }

  /** True when the database has been told all. */
  async isDrained(): Promise<boolean> {
    await this.#writing;
    return this.#cursor.segment === this.#segment && this.#cursor.offset === this.#sizeBytes;
  }

  async close(): Promise<void> {
    clearInterval(this.#syncTimer);
    await this.#writing;
    await this.#sync();
    await this.#file.close();
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const text = this.#waiting.join('');
      this.#waiting = [];
      try {
        if (this.#sizeBytes > segmentLimitBytes) await this.#rotate();
        await this.#file.appendFile(text);
        this.#sizeBytes += Buffer.byteLength(text);
        this.#dirty = true;
        this.ok = true;
        this.onAppend();
      } catch (error) {
        // A full disk: the records stay in memory and are tried again, in their order.
        if (this.ok) this.#logger.error({ err: error }, 'The usage journal cannot be written; records wait in memory');
        this.ok = false;
        this.#waiting.unshift(text);
        await new Promise((resolve) => setTimeout(resolve, 1000).unref());
      }
    }
    this.#writing = null;
  }

  async #rotate(): Promise<void> {
    await this.#sync();
    const next = await open(join(this.#dir, segmentName(this.#segment + 1)), 'a', 0o600);
    await this.#file.close();
    this.#file = next;
    this.#segment += 1;
    this.#sizeBytes = 0;
  }

  async #sync(): Promise<void> {
    if (!this.#dirty) return;
    this.#dirty = false;
    await this.#file
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

async function segmentsIn(dir: string): Promise<number[]> {
  const names = await readdir(dir);
  return names
    .flatMap((name) => /^journal-(\d{8})\.jsonl$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

async function readCursor(dir: string, oldest: number): Promise<Cursor> {
  const text = await readFile(join(dir, 'cursor.json'), 'utf8').catch(() => 'null');
  const parsed = cursor.safeParse(JSON.parse(text));
  return parsed.success && parsed.data.segment >= oldest ? parsed.data : { segment: oldest, offset: 0 };
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
