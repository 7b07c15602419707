import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type JournalLogger, type JournalState, UsageJournal } from './journal.ts';
import { JournalReader } from './journal-reader.ts';

const well: JournalState = { ok: true, waiting: 0, dropped: 0 };

export interface JournalsOptions {
  readonly dir: string;
  /** How many workers append to journals of their own; 0 where this process answers alone. */
  readonly workers: number;
  readonly logger: JournalLogger;
}

/**
 * The usage journals of a server: one that this process appends to, and one for each worker, so that a record is on disk
 * before its client sees the end of the answer whatever dies then. Those of an earlier start with more workers are read as well.
 */
export class UsageJournals {
  readonly own: UsageJournal;
  readonly readers: readonly JournalReader[];
  readonly #dir: string;
  readonly #states = new Map<number, JournalState>();

  private constructor(dir: string, own: UsageJournal, readers: readonly JournalReader[]) {
    this.#dir = dir;
    this.own = own;
    this.readers = readers;
  }

  static async open({ dir, workers, logger }: JournalsOptions): Promise<UsageJournals> {
    const own = await UsageJournal.open({ dir, logger });
    const readers = [await JournalReader.open(dir, logger)];
    for (let slot = 0; slot < workers; slot += 1) readers.push(await JournalReader.open(folderOf(dir, slot), logger));
    for (const slot of await slotsIn(dir)) {
      if (slot < workers) continue;
      const left = folderOf(dir, slot);
      // Ends a line that was cut, as its worker would have.
      await UsageJournal.open({ dir: left, logger }).then((journal) => journal.close());
      const reader = await JournalReader.open(left, logger);
      if ((await reader.depthBytes()) > 0) readers.push(reader);
      else await rm(left, { recursive: true });
    }
    return new UsageJournals(dir, own, readers);
  }

  /** Where the worker of this number keeps its journal. */
  folderOf(slot: number): string {
    return folderOf(this.#dir, slot);
  }

  /** What the worker of this number says of its journal; null when it has ended. */
  heard(slot: number, state: JournalState | null): void {
    if (state === null) this.#states.delete(slot);
    else this.#states.set(slot, state);
  }

  /** Whether the disk takes what is appended, and how many records wait in memory or were left out where it does not. */
  get state(): JournalState {
    return [this.own, ...this.#states.values()].reduce<JournalState>(
      (sum, one) => ({
        ok: sum.ok && one.ok,
        waiting: sum.waiting + one.waiting,
        dropped: sum.dropped + one.dropped,
      }),
      well,
    );
  }

  /** Bytes on disk that the database does not have yet. */
  async depthBytes(): Promise<number> {
    const depths = await Promise.all(this.readers.map((reader) => reader.depthBytes()));
    return depths.reduce((sum, depth) => sum + depth, 0);
  }
}

const folderOf = (dir: string, slot: number) => join(dir, `worker-${slot}`);

async function slotsIn(dir: string): Promise<number[]> {
  const names = await readdir(dir);
  return names.flatMap((name) => /^worker-(\d{1,3})$/.exec(name)?.[1] ?? []).map(Number);
}
