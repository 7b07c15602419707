import { mkdirSync, writeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { UsageRecord } from '../../../contract/usage.ts';
import { readInto, segmentPath, segmentsIn } from './journal-files.ts';

export interface JournalLogger {
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

export interface JournalState {
  /** False while the disk takes nothing. */
  readonly ok: boolean;
  /** How many records wait in memory because the disk takes nothing. */
  readonly waiting: number;
  /** Records that were left out since the disk takes nothing and memory is bounded. */
  readonly dropped: number;
}

const defaultSegmentLimitBytes = 16 * 1024 * 1024;
const retryMs = 1000;
const syncMs = 1000;
/** Some 50 MB: what is kept in memory while the disk takes nothing. */
const waitingLimit = 100_000;

interface OpenSegment {
  readonly file: FileHandle;
  readonly number: number;
  /** How far it holds whole lines; behind it may stand how a write began that failed. */
  sizeBytes: number;
}

/**
 * The usage journal: one JSON line a request, appended to a file before the database hears of it (`JournalReader`).
 * Invariants: a line is handed to the system before `whenKept` calls back, so it survives the end of this process; it is
 * synced to disk at most a second later; a file never gets shorter, so that another process may read while this one appends.
 * All that is appended in one turn of the event loop is one write.
 */
export class UsageJournal implements JournalState {
  readonly #dir: string;
  readonly #logger: JournalLogger;
  readonly #segmentLimitBytes: number;
  #segment: OpenSegment;
  /** What was appended in this turn, and who waits for it. */
  #lines: string[] = [];
  #thens: (() => void)[] = [];
  #turnEnd: NodeJS.Immediate | null = null;
  #waiting: string[] = [];
  #dropped = 0;
  #writing: Promise<void> | null = null;
  #retry: NodeJS.Timeout | null = null;
  #dirty = false;
  readonly #syncTimer: NodeJS.Timeout;
  /** Called after each append that reached the file. */
  onAppend: () => void = () => undefined;
  ok = true;

  private constructor(options: JournalOptions, segment: OpenSegment) {
    this.#dir = options.dir;
    this.#logger = options.logger;
    this.#segmentLimitBytes = options.segmentLimitBytes ?? defaultSegmentLimitBytes;
    this.#segment = segment;
    this.#syncTimer = setInterval(() => void this.#sync(), syncMs).unref();
  }

  static async open(options: JournalOptions): Promise<UsageJournal> {
    const { dir } = options;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const numbers = await segmentsIn(dir);
    const segment = await openSegment(dir, numbers.at(-1) ?? 1);
    const journal = new UsageJournal(options, segment);
    // A line that was cut by a crash must not swallow the next one.
    if (segment.sizeBytes > 0 && !(await endsWithNewline(segmentPath(dir, segment.number), segment.sizeBytes))) {
      journal.#waiting.push('\n');
      await journal.#write();
    }
    return journal;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get dropped(): number {
    return this.#dropped;
  }

  /** Takes a record. Never waits for the disk and never throws: the request path goes on. */
  append(record: UsageRecord): void {
    if (this.#waiting.length + this.#lines.length >= waitingLimit) {
      this.#dropped += 1;
      return;
    }
    this.#lines.push(`${JSON.stringify(record)}\n`);
    this.#turnEnd ??= setImmediate(this.#endTurn);
  }

  /** Calls back when all that was appended is in the file, or the file can't take it now; at once where nothing is on its way. */
  whenKept(then: () => void): void {
    if (this.#turnEnd === null && this.#thens.length === 0) then();
    else this.#thens.push(then);
  }

  /** Resolves when all that was appended is in the file, or the file can't take it now. */
  async flush(): Promise<void> {
    this.#endTurn();
    await this.#writing;
  }

  /** Tries once more to write what waits. */
  async close(): Promise<void> {
    clearInterval(this.#syncTimer);
    await this.flush();
    if (this.#waiting.length > 0) await this.#write();
    if (this.#retry !== null) clearTimeout(this.#retry);
    const lost = this.#waiting.length + this.#dropped;
    if (lost > 0) this.#logger.error({ records: lost }, 'Usage records are lost: the journal could not be written');
    await this.#sync();
    await this.#segment.file.close();
  }

  readonly #endTurn = (): void => {
    if (this.#turnEnd !== null) clearImmediate(this.#turnEnd);
    this.#turnEnd = null;
    const lines = this.#lines;
    this.#lines = [];
    if (lines.length > 0 && !(this.ok && this.#writing === null && this.#appendNow(lines))) {
      this.#waiting = this.#waiting.concat(lines);
      if (this.#retry === null) this.#writing ??= this.#write();
    }
    if (this.#writing === null) this.#callBack();
    else void this.#writing.then(() => this.#callBack());
  };

  #callBack(): void {
    const thens = this.#thens;
    this.#thens = [];
    for (const then of thens) then();
  }

  /** Some microseconds, as the system only copies it; false where the slow way has to be taken. */
  #appendNow(lines: string[]): boolean {
    if (this.#waiting.length > 0 || this.#segment.sizeBytes > this.#segmentLimitBytes) return false;
    const text = lines.join('');
    const sizeBytes = Buffer.byteLength(text);
    try {
      // The next write goes on where this one stopped.
      if (writeSync(this.#segment.file.fd, text) !== sizeBytes) throw new Error('the disk took only a part');
    } catch (error) {
      this.#waiting = lines;
      this.#failed(error);
      return true;
    }
    this.#segment.sizeBytes += sizeBytes;
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
    const begun = this.ok ? 0 : (await this.#segment.file.stat()).size - this.#segment.sizeBytes;
    // The same records wait in the same order, so what a failed write left is how this one begins.
    await this.#segment.file.appendFile(bytes.subarray(begun));
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
}

export interface JournalOptions {
  readonly dir: string;
  readonly logger: JournalLogger;
  /** At this size the next segment begins. */
  readonly segmentLimitBytes?: number;
}

async function openSegment(dir: string, number: number): Promise<OpenSegment> {
  const file = await open(segmentPath(dir, number), 'a', 0o600);
  const { size } = await file.stat();
  const folder = await open(dir, 'r');
  // Else a power cut could take the new file's name away with all that it holds.
  await folder.sync().finally(() => folder.close());
  return { file, number, sizeBytes: size };
}

async function endsWithNewline(path: string, sizeBytes: number): Promise<boolean> {
  const last = Buffer.alloc(1);
  await readInto(last, path, sizeBytes - 1);
  return last[0] === 0x0a;
}
