import type { Benchmark, BenchmarkSettings, BenchmarkSubject } from '../../../contract/benchmarks.ts';
import { CortexError } from '../../../contract/errors.ts';
import { failureOf } from '../../../contract/failure.ts';
import type { Model } from '../../../contract/models.ts';
import * as records from '../db/benchmark-records.ts';
import type { Executor } from '../db/schema.ts';
import type { MeasuredEngines } from '../gateway/measured-engines.ts';
import { BenchmarkRun } from './benchmark-run.ts';

export interface BenchmarksOptions {
  readonly db: Executor;
  readonly models: { get(id: string): Promise<Model> };
  readonly engines: Pick<MeasuredEngines, 'endpoints' | 'askAny' | 'onAway'>;
  /** What is measured, as it is now. */
  readonly subjectOf: (model: Model) => Promise<BenchmarkSubject>;
  readonly logger: { warn(facts: object, message: string): void };
}

interface Running {
  readonly modelId: string;
  readonly run: BenchmarkRun;
  readonly ended: Promise<void>;
}

/** Measures models, one benchmark of a model at a time, and keeps what was measured. */
export class Benchmarks {
  readonly #options: BenchmarksOptions;
  readonly #running = new Map<string, Running>();
  /** Models whose benchmark is about to begin. */
  readonly #taken = new Set<string>();

  constructor(options: BenchmarksOptions) {
    this.#options = options;
  }

  /** Says of those that an earlier process left under way that they are over: requests can't be gone on with. */
  async takeUp(): Promise<void> {
    await records.interruptBenchmarks(this.#options.db, failureOf(interrupted('Cortex ended')));
  }

  async close(): Promise<void> {
    const running = [...this.#running.values()];
    for (const { run } of running) run.end(interrupted('Cortex was stopped'));
    await Promise.all(running.map(({ ended }) => ended));
  }

  /** @throws CortexError not_found */
  async list(modelId: string): Promise<Benchmark[]> {
    await this.#options.models.get(modelId);
    return (await records.listBenchmarks(this.#options.db, modelId)).map((record) => this.#show(record));
  }

  /** @throws CortexError not_found, model_not_running, benchmark_running */
  async start(modelId: string, settings: BenchmarkSettings, username: string): Promise<Benchmark> {
    const { db, models, engines, subjectOf } = this.#options;
    const model = await models.get(modelId);
    const { served_name, state } = model;
    if (state !== 'ready' || engines.endpoints(modelId).length === 0)
      throw new CortexError('model_not_running', { model: served_name, state });
    if (this.#taken.has(modelId) || this.#runningOf(modelId) !== undefined)
      throw new CortexError('benchmark_running', { model: served_name });
    this.#taken.add(modelId);
    try {
      const subject = await subjectOf(model);
      const record = await records.insertBenchmark(db, { model_id: modelId, username, settings, subject });
      this.#begin(record);
      return this.#show(record);
    } finally {
      this.#taken.delete(modelId);
    }
  }

  /** @throws CortexError not_found */
  async cancel(id: string): Promise<Benchmark> {
    await this.#find(id);
    const running = this.#running.get(id);
    running?.run.end(new CortexError('interrupted', {}));
    await running?.ended;
    return this.#show(await this.#find(id));
  }

  /** @throws CortexError not_found */
  async delete(id: string): Promise<void> {
    await this.cancel(id);
    await records.deleteBenchmark(this.#options.db, id);
  }

  async #find(id: string): Promise<records.BenchmarkRecord> {
    const record = await records.findBenchmark(this.#options.db, id);
    if (record === null) throw new CortexError('not_found', { what: 'benchmark', id });
    return record;
  }

  #runningOf(modelId: string): Running | undefined {
    return [...this.#running.values()].find((running) => running.modelId === modelId);
  }

  #begin(record: records.BenchmarkRecord): void {
    const { db, engines, logger } = this.#options;
    const { id, model_id: modelId, subject } = record;
    const steps = [...record.steps];
    const run = new BenchmarkRun(record, {
      ask: (request, signal) => engines.askAny(modelId, request, signal),
      onStep: async (step) => {
        steps.push(step);
        await records.updateBenchmark(db, { ...record, steps });
        const { version } = await this.#options.models.get(modelId);
        if (version !== subject.model_version) throw interrupted(`The model '${subject.served_name}' was changed`);
      },
    });
    const unheard = engines.onAway(modelId, () =>
      run.end(interrupted(`The model '${subject.served_name}' was stopped`)),
    );
    const end = (error: unknown) =>
      records.updateBenchmark(db, { id, steps, ended_at: new Date(), ...endingOf(error) });
    const ended = run.done
      .then(() => end(null), end)
      .catch((error: unknown) => logger.warn({ err: error, benchmark: id }, 'The end of a benchmark was not written'))
      .finally(() => {
        unheard();
        this.#running.delete(id);
      });
    this.#running.set(id, { modelId, run, ended });
  }

  #show(record: records.BenchmarkRecord): Benchmark {
    return {
      ...record,
      started_at: record.started_at.toISOString(),
      ended_at: record.ended_at?.toISOString() ?? null,
      progress: this.#running.get(record.id)?.run.progress() ?? null,
    };
  }
}

const interrupted = (what: string): CortexError => new CortexError('benchmark_interrupted', { what });

function endingOf(error: unknown): Pick<records.BenchmarkRecord, 'state' | 'error'> {
  if (error === null) return { state: 'done', error: null };
  const code = error instanceof CortexError ? error.code : null;
  if (code === 'interrupted') return { state: 'cancelled', error: null };
  return { state: code === 'benchmark_interrupted' ? 'interrupted' : 'failed', error: failureOf(error) };
}
