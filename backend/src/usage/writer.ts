import type { UsageRecord } from '../../../contract/usage.ts';
import type { Batch, JournalReader } from './journal-reader.ts';

export interface UsageWriterOptions {
  readonly readers: readonly Pick<JournalReader, 'read' | 'advance'>[];
  /** Must leave a request that is there already alone: after a crash the same records come again. */
  readonly insert: (records: readonly UsageRecord[]) => Promise<void>;
  /** The same with a JSON array of them; false where that is not to be read as records as it is. */
  readonly insertJson?: (records: Buffer) => Promise<boolean>;
  readonly logger: { warn(details: object, message: string): void };
}

const batchLimit = 2000;
const gatherMs = 200;
const firstBackOffMs = 1000;
const longestBackOffMs = 30_000;

/** Carries the journals into the database in batches, and waits with growing patience while there is none. */
export class UsageWriter {
  readonly #options: UsageWriterOptions;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #cameMeanwhile = false;
  #failures = 0;
  #closed = false;

  constructor(options: UsageWriterOptions) {
    this.#options = options;
    this.#wake(0);
  }

  /** Something may have been appended. */
  wake(): void {
    this.#wake(gatherMs);
  }

  /** Resolves when the database has what the journals hold, or does not take it, or at the latest in so many milliseconds. */
  async caughtUp(limitMs: number): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#running ??= this.#run();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, limitMs);
    });
    await Promise.race([this.#running, late]).finally(() => clearTimeout(timer));
  }

  /** Writes what is left if the database takes it. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#running;
    await this.#drain(true).catch((error: unknown) => {
      this.#options.logger.warn({ err: error }, 'Usage stays in the journal until the next start');
    });
  }

  #wake(delayMs: number): void {
    if (this.#running !== null) this.#cameMeanwhile = true;
    if (this.#timer !== null || this.#running !== null || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#running = this.#run();
    }, delayMs);
  }

  async #run(): Promise<void> {
    this.#cameMeanwhile = false;
    try {
      await this.#drain(false);
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      this.#options.logger.warn({ err: error }, 'Usage could not be written to the database; it waits in the journal');
    }
    this.#running = null;
    if (this.#failures > 0) this.#wake(Math.min(firstBackOffMs * 2 ** (this.#failures - 1), longestBackOffMs));
    else if (this.#cameMeanwhile) this.#wake(gatherMs);
  }

  /**
   * Takes turns, so that no journal waits for the end of a busy one.
   * @param last also what comes in the meantime; else that is gathered first, as each batch costs some file operations
   */
  async #drain(last: boolean): Promise<void> {
    const { readers } = this.#options;
    for (let goesOn = true; goesOn; ) {
      goesOn = false;
      for (const reader of readers) {
        const batch = await reader.read(batchLimit);
        if (batch === null) continue;
        await this.#insert(batch);
        await reader.advance(batch.next);
        goesOn ||= last || batch.more;
      }
    }
  }

  /** Nearly always the lines are good as they are, and need not be parsed here. */
  async #insert(batch: Batch): Promise<void> {
    const { insert, insertJson } = this.#options;
    if (batch.json === null || (await insertJson?.(batch.json))) return;
    const { records } = batch;
    if (records.length > 0) await insert(records);
  }
}
