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
const longestBackOffMs = 30_000;

/** Carries the journal into the database in batches, and waits with growing patience while there is none. */
export class UsageWriter {
  readonly #options: UsageWriterOptions;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #failures = 0;
  #closed = false;

  constructor(options: UsageWriterOptions) {
    this.#options = options;
    options.journal.onAppend = () => this.#wake(gatherMs);
    this.#wake(0);
  }

  /** Writes what is left if the database takes it, and closes the journal. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#running;
    await this.#drain().catch((error: unknown) => {
      this.#options.logger.warn({ err: error }, 'Usage stays in the journal until the next start');
    });
    await this.#options.journal.close();
  }

  #wake(delayMs: number): void {
    if (this.#timer !== null || this.#running !== null || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#running = this.#run().finally(() => {
        this.#running = null;
        void this.#again();
      });
    }, delayMs);
  }

  async #again(): Promise<void> {
    if (this.#failures > 0) this.#wake(Math.min(1000 * 2 ** (this.#failures - 1), longestBackOffMs));
    else if (!(await this.#options.journal.isDrained())) this.#wake(gatherMs);
  }

  async #run(): Promise<void> {
    try {
      await this.#drain();
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      this.#options.logger.warn({ err: error }, 'Usage could not be written to the database; it waits in the journal');
    }
  }

  async #drain(): Promise<void> {
    const { journal, insert } = this.#options;
    while (!(await journal.isDrained())) {
      const { records, next } = await journal.read(batchLimit);
      if (records.length > 0) await insert(records);
      await journal.advance(next);
    }
  }
}
