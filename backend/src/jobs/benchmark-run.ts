import { setTimeout as sleep } from 'node:timers/promises';
import type { Benchmark, BenchmarkStep } from '../../../contract/benchmarks.ts';
import { CortexError } from '../../../contract/errors.ts';
import { failureOf } from '../../../contract/failure.ts';
import type { BenchmarkRecord } from '../db/benchmark-records.ts';
import type { MeasuredAnswer, MeasuredRequest } from '../gateway/measured-request.ts';
import { type Sample, stepFigures } from './benchmark-figures.ts';
import { promptOf, type SentPrompt, wordsFor } from './benchmark-prompt.ts';

export interface BenchmarkRunOptions {
  readonly ask: (request: MeasuredRequest, signal: AbortSignal) => Promise<MeasuredAnswer>;
  /** Hears of each complete step. @throws CortexError where the model is not the one any more that is measured */
  readonly onStep: (step: BenchmarkStep) => Promise<void>;
}

/** Requests that are under way when a step's time is over have so long to end. */
const graceMs = 120_000;
const warmUpTimeoutMs = 300_000;
/** Enough to see that it writes. */
const warmUpTokens = 16;
const pauseMs = 1_000;
/** A client that fails so often in a row sends no more: the engine refuses, or is gone. */
const mostFailures = 3;
const shortWords = 4;
const longWords = 16;

type Kind = 'completions' | 'embeddings' | 'rerank';

/** One benchmark under way: a warm-up, then step after step. */
export class BenchmarkRun {
  readonly done: Promise<void>;
  readonly #record: BenchmarkRecord;
  readonly #options: BenchmarkRunOptions;
  readonly #stop = new AbortController();
  #kind: Kind = 'completions';
  #words = 0;
  #step: { readonly index: number; readonly startedAtMs: number; samples: Sample[]; failures: unknown[] } | null = null;

  constructor(record: BenchmarkRecord, options: BenchmarkRunOptions) {
    this.#record = record;
    this.#options = options;
    this.done = this.#run();
  }

  /** Ends it and its requests at once; `done` rejects with the reason. */
  end(reason: CortexError): void {
    this.#stop.abort(reason);
  }

  progress(): NonNullable<Benchmark['progress']> {
    const { concurrency, seconds } = this.#record.settings;
    const step = this.#step;
    const step_seconds = step === null ? 0 : (performance.now() - step.startedAtMs) / 1000;
    const stepsLeft = concurrency.length - (step?.index ?? 0);
    return {
      concurrency: step === null ? null : (concurrency[step.index] ?? null),
      step_seconds,
      requests: step?.samples.length ?? 0,
      failures: step?.failures.length ?? 0,
      seconds_left: Math.max(0, stepsLeft * seconds - Math.min(step_seconds, seconds)),
    };
  }

  async #run(): Promise<void> {
    await this.#warmUp();
    for (const index of this.#record.settings.concurrency.keys()) {
      const { figures, failure } = await this.#measure(index);
      await this.#options.onStep(figures);
      if (figures.requests === 0) throw failure;
    }
  }

  /** Finds out what the model answers and how many words make a prompt, and has the engine read one of that size. */
  async #warmUp(): Promise<void> {
    const { prompt_tokens, output_tokens } = this.#record.settings;
    const short = await this.#firstPrompt();
    const long = await this.#sendPrompt(longWords, 1);
    this.#words = wordsFor(prompt_tokens, short, long);
    const whole = await this.#sendPrompt(this.#words, Math.min(output_tokens, warmUpTokens));
    if (whole.words > short.words) this.#words = wordsFor(prompt_tokens, short, whole);
  }

  async #firstPrompt(): Promise<SentPrompt> {
    const { task, options } = this.#record.subject;
    this.#kind = task === 'generate' ? 'completions' : options.pooling === 'rank' ? 'rerank' : 'embeddings';
    try {
      return await this.#sendPrompt(shortWords, 1);
    } catch (error) {
      const isOther = error instanceof CortexError && ['engine_failed', 'engine_lacks_endpoint'].includes(error.code);
      if (this.#kind !== 'embeddings' || !isOther) throw error;
      this.#kind = 'rerank';
      return this.#sendPrompt(shortWords, 1).catch(() => {
        throw error;
      });
    }
  }

  async #sendPrompt(words: number, outputTokens: number): Promise<SentPrompt> {
    const request = requestOf(this.#kind, promptOf(words), outputTokens, warmUpTimeoutMs);
    return { words, tokens: (await this.#options.ask(request, this.#stop.signal)).promptTokens };
  }

  async #measure(index: number): Promise<{ figures: BenchmarkStep; failure: unknown }> {
    const { seconds, concurrency: steps } = this.#record.settings;
    const concurrency = steps[index] ?? 1;
    const startedAtMs = performance.now();
    const step = { index, startedAtMs, samples: [] as Sample[], failures: [] as unknown[] };
    this.#step = step;
    const client = () => this.#askUntil(startedAtMs + seconds * 1000, step.samples, step.failures);
    await Promise.all(Array.from({ length: concurrency }, client));
    const failure: unknown = step.failures[0];
    const failures = { count: step.failures.length, first: failure === undefined ? null : failureOf(failure) };
    const took = (performance.now() - startedAtMs) / 1000;
    const figures = stepFigures(concurrency, took, step.samples, failures, this.#kind === 'completions');
    return { figures, failure };
  }

  /** One of the clients that ask at the same time: request after request, at least one. */
  async #askUntil(untilMs: number, samples: Sample[], failures: unknown[]): Promise<void> {
    const { signal } = this.#stop;
    let inARow = 0;
    do {
      const timeoutMs = untilMs - performance.now() + graceMs;
      const prompt = promptOf(this.#words);
      const request = requestOf(this.#kind, prompt, this.#record.settings.output_tokens, timeoutMs);
      try {
        samples.push(await this.#options.ask(request, signal));
        inARow = 0;
      } catch (error) {
        if (signal.aborted) throw error;
        failures.push(error);
        inARow += 1;
        if (inARow === mostFailures) return;
        await sleep(pauseMs, undefined, { signal }).catch(() => {
          throw signal.reason;
        });
      }
    } while (performance.now() < untilMs);
  }
}

/** Text is completed rather than chatted: every model that generates can, and no template comes between. */
function requestOf(kind: Kind, prompt: string, outputTokens: number, timeoutMs: number): MeasuredRequest {
  if (kind === 'embeddings') return { path: '/v1/embeddings', body: { input: prompt }, timeoutMs };
  if (kind === 'rerank') return { path: '/v1/rerank', body: { query: 'time', documents: [prompt] }, timeoutMs };
  const body = {
    ...{ prompt, max_tokens: outputTokens, temperature: 0 },
    // Both engines know it: every answer is as long as the others.
    ignore_eos: true,
    ...{ stream: true, stream_options: { include_usage: true } },
  };
  return { path: '/v1/completions', body, timeoutMs };
}
