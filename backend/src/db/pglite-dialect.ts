import { Worker } from 'node:worker_threads';
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
  type TransactionSettings,
} from 'kysely';
import type { WorkerAnswer, WorkerRequest } from './pglite-messages.ts';

/** An error of the embedded database, with Postgres's SQLSTATE as `code` as pg has it. */
export class EmbeddedDatabaseError extends Error {
  override readonly name = 'EmbeddedDatabaseError';
  readonly code: string | null;
  readonly constraint: string | null;
  constructor(message: string, code: string | null, constraint: string | null) {
    super(message);
    this.code = code;
    this.constraint = constraint;
  }
}

/** Node 20 can't start a worker from a .ts file, so the tests' sources use the built one. */
function workerUrl(): URL {
  return import.meta.url.endsWith('.ts')
    ? new URL('../../../dist/backend/src/db/pglite-worker.js', import.meta.url)
    : new URL('./pglite-worker.js', import.meta.url);
}

type Question = { kind: 'query'; sql: string; parameters: readonly unknown[] } | { kind: 'close' };

/** The worker thread seen as a function. A long query would stop every stream if it ran in the server's own thread. */
class DatabaseThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, { resolve: (answer: WorkerAnswer) => void; reject: (error: Error) => void }>();
  #nextId = 1;
  #ended: Error | null = null;

  constructor(dataDir: string | null) {
    this.#worker = new Worker(workerUrl(), { workerData: { dataDir } });
    this.#worker.on('message', (answer: WorkerAnswer) => {
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if (answer.error) {
        waiting?.reject(new EmbeddedDatabaseError(answer.error.message, answer.error.code, answer.error.constraint));
      } else waiting?.resolve(answer);
    });
    this.#worker.on('error', (error) => this.#end(error instanceof Error ? error : new Error(String(error))));
    this.#worker.on('exit', () => this.#end(new Error('the embedded database has stopped')));
  }

  ask(question: Question): Promise<WorkerAnswer> {
    if (this.#ended) return Promise.reject(this.#ended);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ ...question, id } satisfies WorkerRequest);
    });
  }

  async close(): Promise<void> {
    if (!this.#ended) await this.ask({ kind: 'close' }).catch(() => undefined);
    await this.#worker.terminate();
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const waiting of this.#waiting.values()) waiting.reject(this.#ended);
    this.#waiting.clear();
  }
}

class EmbeddedConnection implements DatabaseConnection {
  readonly #thread: DatabaseThread;
  constructor(thread: DatabaseThread) {
    this.#thread = thread;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const answer = await this.#thread.ask({ kind: 'query', sql: query.sql, parameters: query.parameters });
    // What the rows are is decided by the query that Kysely typed.
    return { rows: answer.rows as R[], numAffectedRows: BigInt(answer.affectedRows) };
  }

  // biome-ignore lint/correctness/useYield: Kysely's interface asks for a generator; the embedded database has no cursors.
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('the embedded database does not stream');
  }
}

/**
 * One connection, handed to one user at a time: a transaction holds it, so a query on the pool inside a transaction
 * would wait for itself. Repositories therefore take the executor as their first argument.
 */
class EmbeddedDriver implements Driver {
  readonly #dataDir: string | null;
  #thread: DatabaseThread | null = null;
  #connection: EmbeddedConnection | null = null;
  #held = false;
  readonly #queue: (() => void)[] = [];

  constructor(dataDir: string | null) {
    this.#dataDir = dataDir;
  }

  async init(): Promise<void> {
    this.#thread = new DatabaseThread(this.#dataDir);
    this.#connection = new EmbeddedConnection(this.#thread);
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    if (!this.#connection) throw new Error('the embedded database is not open');
    if (this.#held) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#held = true;
    return this.#connection;
  }

  async releaseConnection(): Promise<void> {
    const next = this.#queue.shift();
    if (next) next();
    else this.#held = false;
  }

  async beginTransaction(connection: DatabaseConnection, settings: TransactionSettings): Promise<void> {
    const level = settings.isolationLevel ? ` isolation level ${settings.isolationLevel}` : '';
    await connection.executeQuery(CompiledQuery.raw(`begin${level}`));
  }
  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'));
  }
  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('rollback'));
  }

  async destroy(): Promise<void> {
    await this.#thread?.close();
    this.#thread = null;
    this.#connection = null;
  }
}

/** Kysely over PGlite in a worker thread. `dataDir` null keeps everything in memory (tests). */
export function embeddedDialect(dataDir: string | null): Dialect {
  return {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new EmbeddedDriver(dataDir),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  };
}
