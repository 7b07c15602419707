import type { UsageRecord } from '../../../contract/usage.ts';
import type { UsageJournal } from './journal.ts';

export interface UsageWriterOptions {
  readonly journal: UsageJournal;
  /** Must leave a request that is there already alone: after a crash the same records come again. */
  readonly insert: (records: readonly UsageRecord[]) => Promise<void>;
  readonly logger: { warn(details: object, message: string): void };
}

const batchLimit = 500;
const gatherMs = 200;
const firstBackOffMs = 1000;
const longestBackOffMs = 30_000;

/** Carries the journal into the database in batches, and waits with growing patience while there is none. */
export class UsageWriter {
  readonly #options: UsageWriterOptions;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #cameMeanwhile = false;
  #failures = 0;
  #closed = false;

  constructor(options: UsageWriterOptions) {
    this.#options = options;
    options.journal.onAppend = () => this.#wake(gatherMs);
    this.#wake(0);
  }

  /** Resolves when the database has what the journal holds, or does not take it, or at the latest in so many milliseconds. */
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

  /** Writes what is left if the database takes it, and closes the journal. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#running;
    await this.#options.journal.flush();
    await this.#drain().catch((error: unknown) => {
      this.#options.logger.warn({ err: error }, 'Usage stays in the journal until the next start');
    });
    await this.#options.journal.close();
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
      await this.#drain();
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      this.#options.logger.warn({ err: error }, 'Usage could not be written to the database; it waits in the journal');
    }
    this.#running = null;
    if (this.#failures > 0) this.#wake(Math.min(firstBackOffMs * 2 ** (this.#failures - 1), longestBackOffMs));
    else if (this.#cameMeanwhile) this.#wake(gatherMs);
  }

  async #drain(): Promise<void> {
    const { journal, insert } = this.#options;
    for (let batch = await journal.read(batchLimit); batch !== null; batch = await journal.read(batchLimit)) {
      if (batch.records.length > 0) await insert(batch.records);
      await journal.advance(batch.next);
    }
  }
}
