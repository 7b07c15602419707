import { sql } from 'kysely';
import { type ModelRecord, modelOf } from './model-records.ts';
import type { Executor } from './schema.ts';

interface Kept {
  readonly writtenBy: string;
  readonly record: ModelRecord;
}

/** Postgres's own mark of the write that a row comes from, whoever wrote it. */
const writtenBy = sql<string>`xmin::text`.as('written_by');

/**
 * All models, asked for with each look and each list although they seldom change: the database tells each time which were
 * written since, and only those are read and checked again. One that was not is the same object as before.
 */
export class ModelList {
  readonly #db: Executor;
  #kept: ReadonlyMap<string, Kept> = new Map();
  #records: ModelRecord[] = [];
  #writes = 0;
  /** How many writes were known of when `#records` were asked for. */
  #readAfter = -1;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** For what is written by this server or heard of from another one. */
  written(): void {
    this.#writes += 1;
  }

  /** As they were read last, unless something was written since. */
  async latest(): Promise<ModelRecord[]> {
    return this.#readAfter === this.#writes ? this.#records : this.read();
  }

  /** As the database has them now, oldest first. */
  async read(): Promise<ModelRecord[]> {
    const writes = this.#writes;
    const kept = this.#kept;
    const rows = await this.#db
      .selectFrom('models')
      .select(['id', writtenBy])
      .orderBy('created_at')
      .orderBy('id')
      .execute();
    const isKept = (row: (typeof rows)[number]) => kept.get(row.id)?.writtenBy === row.written_by;
    const fresh = await this.#readAnew(rows.filter((row) => !isKept(row)).map(({ id }) => id));
    const found = rows.flatMap((row) => (isKept(row) ? kept : fresh).get(row.id) ?? []);
    this.#kept = new Map(found.map((one) => [one.record.id, one]));
    this.#records = found.map(({ record }) => record);
    this.#readAfter = writes;
    return this.#records;
  }

  /** One that was deleted meanwhile is not among them. */
  async #readAnew(ids: readonly string[]): Promise<Map<string, Kept>> {
    if (ids.length === 0) return new Map();
    const rows = await this.#db.selectFrom('models').selectAll().select(writtenBy).where('id', 'in', ids).execute();
    return new Map(rows.map((row) => [row.id, { writtenBy: row.written_by, record: modelOf(row) }]));
  }
}
