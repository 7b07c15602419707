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

  constructor(db: Executor) {
    this.#db = db;
  }

  /** Oldest first. */
  async read(): Promise<ModelRecord[]> {
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
    return found.map(({ record }) => record);
  }

  /** One that was deleted meanwhile is not among them. */
  async #readAnew(ids: readonly string[]): Promise<Map<string, Kept>> {
    if (ids.length === 0) return new Map();
    const rows = await this.#db.selectFrom('models').selectAll().select(writtenBy).where('id', 'in', ids).execute();
    return new Map(rows.map((row) => [row.id, { writtenBy: row.written_by, record: modelOf(row) }]));
  }
}
