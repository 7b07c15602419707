import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { ByteSource, HashAnswer, HashRequest } from './hash-messages.ts';

/** What a followed file turned out to be. */
export interface FileSums {
  readonly sha256: string;
  readonly chunks: readonly string[];
}

export interface Follower {
  /** All bytes below this offset are written. */
  advance(upTo: number): void;
  readonly done: Promise<FileSums>;
}

type ByKind<K extends HashRequest['kind']> = Extract<HashRequest, { kind: K }>;
const mostWorkers = 8;

/** SHA-256 on all cores, away from the thread that moves the bytes. */
export class HashPool {
  readonly #workers: Worker[] = [];
  readonly #busy: number[] = [];
  readonly #jobs = new Map<number, { worker: number; hear: (answer: HashAnswer) => void }>();
  #next = 0;

  constructor(workers = Math.min(availableParallelism(), mostWorkers)) {
    for (let number = 0; number < workers; number += 1) {
      const worker = new Worker(workerUrl());
      worker.on('message', (answer: HashAnswer) => this.#jobs.get(answer.job)?.hear(answer));
      worker.on('error', (error) => this.#lose(number, error));
      this.#workers.push(worker);
      this.#busy.push(0);
    }
  }

  get size(): number {
    return this.#workers.length;
  }

  /** Hashes a file while it is written: the whole, its chunks, and each marked range as soon as it is passed. */
  follow(
    file: { source: ByteSource; chunkBytes: number; marks: ByKind<'follow'>['marks'] },
    onMark: (index: number, sum: string) => void,
  ): Follower {
    let advance: (upTo: number) => void = () => undefined;
    const done = new Promise<FileSums>((resolve, reject) => {
      const job = this.#start((answer) => {
        if (answer.kind === 'mark') onMark(answer.index, answer.sum);
        else if (answer.kind === 'whole')
          this.#end(job, () => resolve({ sha256: answer.sha256, chunks: answer.chunks }));
        else if (answer.kind === 'failed') this.#end(job, () => reject(new Error(answer.message)));
      });
      this.#send({ kind: 'follow', job, ...file });
      advance = (upTo) => {
        if (this.#jobs.has(job)) this.#send({ kind: 'advance', job, upTo });
      };
    });
    // Whoever awaits `done` learns of it; until then it must not count as unhandled.
    done.catch(() => undefined);
    return { advance: (upTo) => advance(upTo), done };
  }

  /** The sums of ranges, `null` for each that can't be read. */
  sums(ranges: ByKind<'sums'>['ranges']): Promise<readonly (string | null)[]> {
    return new Promise((resolve, reject) => {
      const job = this.#start((answer) => {
        if (answer.kind === 'sums') this.#end(job, () => resolve(answer.sums));
        else if (answer.kind === 'failed') this.#end(job, () => reject(new Error(answer.message)));
      });
      this.#send({ kind: 'sums', job, ranges });
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #start(hear: (answer: HashAnswer) => void): number {
    const job = this.#next++;
    const worker = this.#busy.indexOf(Math.min(...this.#busy));
    this.#busy[worker] = (this.#busy[worker] ?? 0) + 1;
    this.#jobs.set(job, { worker, hear });
    return job;
  }

  #send(request: HashRequest): void {
    const job = this.#jobs.get(request.job);
    if (job !== undefined) this.#workers[job.worker]?.postMessage(request);
  }

  #end(job: number, settle: () => void): void {
    const { worker } = this.#jobs.get(job) ?? { worker: -1 };
    this.#busy[worker] = (this.#busy[worker] ?? 1) - 1;
    this.#jobs.delete(job);
    settle();
  }

  #lose(worker: number, error: Error): void {
    for (const [job, known] of this.#jobs)
      if (known.worker === worker) known.hear({ kind: 'failed', job, message: error.message });
  }
}

/** Node 20 runs no TypeScript: tests that run from source use the built worker. */
function workerUrl(): URL {
  const beside = new URL('./hash-worker.js', import.meta.url);
  return existsSync(beside) ? beside : new URL('../dist/offline/hash-worker.js', import.meta.url);
}
