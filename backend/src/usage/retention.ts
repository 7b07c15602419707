export interface UsageRetentionOptions {
  readonly retentionDays: number;
  readonly hourlyRetentionDays: number;
  /** Must be kept before anything is deleted: what is older and comes again is not counted again. */
  readonly raiseHorizon: (before: Date) => Promise<void>;
  /** Each deletes up to `limit` of the oldest rows and tells how many. */
  readonly deleteRequests: (before: Date, limit: number) => Promise<number>;
  readonly deleteHours: (before: Date, limit: number) => Promise<number>;
  readonly logger: { info(details: object, message: string): void; warn(details: object, message: string): void };
  readonly batchSize?: number;
  readonly pauseMs?: number;
  readonly firstAfterMs?: number;
}

const dayMs = 86_400_000;
const everyMs = 3_600_000;
// The writer first brings what a long outage left in the journal: behind the horizon it would not be taken any more.
const firstAfterMs = 300_000;
const batchSize = 2000;
const pauseMs = 50;

/** Deletes what is older than the settings keep: in small batches with a pause after each, so that others get between. */
export class UsageRetention {
  readonly #options: UsageRetentionOptions;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<unknown> = Promise.resolve();

  constructor(options: UsageRetentionOptions) {
    this.#options = options;
    this.#plan(options.firstAfterMs ?? firstAfterMs);
  }

  /** Deletes all that is due now. @returns how many rows were deleted of each kind */
  async sweep(nowMs = Date.now()): Promise<{ requests: number; hours: number }> {
    const { retentionDays, hourlyRetentionDays, raiseHorizon, deleteRequests, deleteHours } = this.#options;
    const keepRequestsFrom = new Date(nowMs - retentionDays * dayMs);
    await raiseHorizon(keepRequestsFrom);
    const requests = await this.#deleteAll((limit) => deleteRequests(keepRequestsFrom, limit));
    const keepHoursFrom = new Date(nowMs - hourlyRetentionDays * dayMs);
    const hours = await this.#deleteAll((limit) => deleteHours(keepHoursFrom, limit));
    return { requests, hours };
  }

  /** Stops after the batch that runs. */
  async close(): Promise<void> {
    this.#stopping.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#running;
  }

  #plan(afterMs: number): void {
    this.#timer = setTimeout(() => {
      this.#running = this.#run();
    }, afterMs).unref();
  }

  async #run(): Promise<void> {
    try {
      const deleted = await this.sweep();
      if (deleted.requests + deleted.hours > 0) this.#options.logger.info(deleted, 'Old usage was deleted');
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'Old usage could not be deleted; it is tried again in an hour');
    }
    if (!this.#stopping.signal.aborted) this.#plan(everyMs);
  }

  async #deleteAll(deleteBatch: (limit: number) => Promise<number>): Promise<number> {
    const limit = this.#options.batchSize ?? batchSize;
    let deleted = 0;
    while (!this.#stopping.signal.aborted) {
      const count = await deleteBatch(limit);
      deleted += count;
      if (count < limit) break;
      await new Promise((resolve) => setTimeout(resolve, this.#options.pauseMs ?? pauseMs));
    }
    return deleted;
  }
}
