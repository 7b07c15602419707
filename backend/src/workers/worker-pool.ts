import cluster, { type Worker } from 'node:cluster';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { InspectedRequest } from '../../../contract/inspector.ts';
import { type Listener, listenError } from '../listeners.ts';
import type { Answer } from './asks.ts';
import { Bundle } from './bundle.ts';
import { Desk, type DeskOptions } from './desk.ts';
import type { FromWorker, ToWorker, WorkerSetup, WorkerState } from './messages.ts';

export interface WorkerPoolOptions extends DeskOptions {
  /** The same for each worker. */
  readonly setup: Omit<WorkerSetup, 'journalDir'>;
  /** Where the worker of this number, counted from 0, keeps its usage journal. */
  readonly journalDir: (slot: number) => string;
  /** Hears how a worker does; null when it has ended. */
  readonly onState: (slot: number, state: WorkerState | null) => void;
  readonly onInspected: (inspected: InspectedRequest) => void;
  readonly logger: Logger;
}

const firstRestartMs = 100;
const longestRestartMs = 10_000;
/** A worker that lived so long was well: the next restart is quick again. */
const wellMs = 30_000;

/**
 * Starts processes that answer /v1 on one port, and starts each anew that dies. What a dead one had taken of the limits
 * and of places at models is given back.
 * @throws CortexError port_in_use, setting_invalid
 */
export async function startWorkers(options: WorkerPoolOptions): Promise<Listener> {
  const { setup, table, logger } = options;
  cluster.setupPrimary({ exec: fileURLToPath(new URL('./worker.js', import.meta.url)) });
  let stopping = false;
  let restartMs = firstRestartMs;

  const start = (slot: number): Promise<number> =>
    new Promise((resolve, reject) => {
      const worker = cluster.fork();
      const bornAtMs = Date.now();
      const answers = new Bundle<Answer>((all) => tell(worker, { kind: 'answers', answers: all }));
      const desk = new Desk(options, (answer) => answers.add(answer));
      worker.on('message', (message: FromWorker) => {
        if (message.kind === 'ready') {
          tell(worker, { kind: 'table', parts: table.parts });
          tell(worker, { kind: 'setup', setup: { ...setup, journalDir: options.journalDir(slot) } });
        } else if (message.kind === 'listening') resolve(message.port);
        else if (message.kind === 'failed') {
          const cause = Object.assign(new Error(message.message), { code: message.code });
          reject(listenError(cause, setup.host, setup.port, 'GATEWAY_PORT'));
        } else if (message.kind === 'asks') desk.take(message.asks);
        else if (message.kind === 'state') options.onState(slot, message.state);
        else if (message.kind === 'inspected') options.onInspected(message.inspected);
        else logger[message.level](message.details, message.message);
      });
      worker.once('exit', (code, signal) => {
        options.onState(slot, null);
        desk.close();
        reject(new Error(`a worker ended before it listened (${signal ?? code})`));
        if (stopping) return;
        restartMs = Date.now() - bornAtMs > wellMs ? firstRestartMs : Math.min(restartMs * 2, longestRestartMs);
        logger.error({ pid: worker.process.pid, code, signal, restartMs }, 'A gateway worker died; another is started');
        setTimeout(() => {
          if (!stopping) start(slot).catch((error: unknown) => logger.error({ err: error }, 'A worker did not start'));
        }, restartMs);
      });
    });

  const unheard = table.onReplace((parts) => {
    for (const worker of Object.values(cluster.workers ?? {})) if (worker) tell(worker, { kind: 'table', parts });
  });
  let port: number;
  try {
    // Where the port is 0, cluster gives the others the one that the system chose for the first.
    port = await start(0);
    await Promise.all(Array.from({ length: setup.workers - 1 }, (_, others) => start(others + 1)));
  } catch (error) {
    stopping = true;
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGKILL');
    throw error;
  }
  return {
    port,
    close: async (graceMs) => {
      stopping = true;
      unheard();
      const workers = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
      await Promise.all(
        workers.map(
          (worker) =>
            new Promise<void>((resolve) => {
              worker.once('exit', () => resolve());
              tell(worker, { kind: 'stop', graceMs });
              setTimeout(() => worker.process.kill('SIGKILL'), graceMs + 1000).unref();
            }),
        ),
      );
    },
  };
}

const tell = (worker: Worker, message: ToWorker): void => {
  if (worker.isConnected()) worker.send(message, () => undefined);
};
