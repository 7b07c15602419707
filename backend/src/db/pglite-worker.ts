import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import type { WorkerAnswer, WorkerRequest } from './pglite-messages.ts';

// int8 and numeric come as numbers on both drivers: counts stay far below 2^53.
const parsers = { 20: Number, 1700: Number };

const port = parentPort;
if (!port) throw new Error('pglite-worker.ts runs as a worker thread only');

const data = workerData as { dataDir: string | null };
const opened = data.dataDir === null ? PGlite.create({ parsers }) : PGlite.create(data.dataDir, { parsers });

function failure(error: unknown): WorkerAnswer['error'] {
  const fields = error instanceof Error ? (error as Error & { code?: unknown; constraint?: unknown }) : undefined;
  return {
    message: fields?.message ?? String(error),
    code: typeof fields?.code === 'string' ? fields.code : null,
    constraint: typeof fields?.constraint === 'string' ? fields.constraint : null,
  };
}

const utf8 = new TextDecoder();
/** The schema has no column of bytes: bytes are a text that nobody has decoded yet. */
const asText = (parameter: unknown) => (parameter instanceof Uint8Array ? utf8.decode(parameter) : parameter);

async function answer(request: WorkerRequest): Promise<WorkerAnswer> {
  try {
    const database = await opened;
    if (request.kind === 'close') {
      await database.close();
      return { id: request.id, rows: [], affectedRows: 0, error: null };
    }
    const result = await database.query(request.sql, request.parameters.map(asText));
    return { id: request.id, rows: result.rows, affectedRows: result.affectedRows ?? 0, error: null };
  } catch (error) {
    return { id: request.id, rows: [], affectedRows: 0, error: failure(error) };
  }
}

port.on('message', (request: WorkerRequest) => {
  void answer(request).then((result) => port.postMessage(result));
});
