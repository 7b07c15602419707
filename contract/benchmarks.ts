import { z } from 'zod';
import { failure } from './failure.ts';
import { engine, replicas, task } from './models.ts';
import { defineRoute } from './route.ts';

/** So many requests at once are more than anybody's engine answers on one machine. */
export const mostConcurrent = 256;

/** What is measured: a step for each number of requests at once. */
export const benchmarkSettings = z.strictObject({
  concurrency: z
    .array(z.number().int().min(1).max(mostConcurrent))
    .min(1)
    .max(8)
    .refine((steps) => steps.every((step, at) => at === 0 || step > (steps[at - 1] ?? 0)), 'Each larger than the last')
    .default([1, 2, 4, 8, 16]),
  /** Of each request, as near as words come to it. */
  prompt_tokens: z.number().int().min(1).max(32_768).default(256),
  /** Of each answer; embedding models write none. */
  output_tokens: z.number().int().min(1).max(4096).default(128),
  /** New requests are sent for so long in each step; those under way then end. */
  seconds: z.number().int().min(1).max(120).default(15),
});
export type BenchmarkSettings = z.output<typeof benchmarkSettings>;

const perSecond = z.number().nullable();
const milliseconds = z.number().nullable();

/** What was measured with so many requests at once. Figures are null where the engine told nothing that they could be made of. */
export const benchmarkStep = z.object({
  concurrency: z.number().int(),
  /** From the first request's start to the last one's end. */
  seconds: z.number(),
  requests: z.number().int(),
  failures: z.number().int(),
  /** Why the first of the failures failed. */
  error: failure.nullable(),
  /** Of all answered requests together, as the engine counted them. */
  prompt_tokens: z.number().int().nullable(),
  output_tokens: z.number().int().nullable(),
  requests_per_second: z.number(),
  prompt_tokens_per_second: perSecond,
  output_tokens_per_second: perSecond,
  first_token_p50_ms: milliseconds,
  first_token_p95_ms: milliseconds,
  /** Between two tokens of one answer. */
  per_token_p50_ms: milliseconds,
  per_token_p95_ms: milliseconds,
  duration_p50_ms: milliseconds,
  duration_p95_ms: milliseconds,
});
export type BenchmarkStep = z.infer<typeof benchmarkStep>;

/** What was measured, as it was then; two runs differ in these, or in the machine's other load. */
export const benchmarkSubject = z.object({
  served_name: z.string(),
  engine,
  task,
  /** Counts the model's changes. */
  model_version: z.number().int(),
  folder: z.string(),
  file: z.string().nullable(),
  replicas,
  options: z.record(z.string(), z.unknown()),
  image: z.string(),
  /** The image of the container that ran, by its content; null where Docker did not tell. */
  image_id: z.string().nullable(),
  engine_version: z.string().nullable(),
  /** Those that the model holds, by name, one for each. */
  gpus: z.array(z.string()),
  cpu: z.string(),
});
export type BenchmarkSubject = z.infer<typeof benchmarkSubject>;

/** `interrupted`: Cortex ended, or the model was stopped or changed, while it ran. */
export const benchmarkState = z.enum(['running', 'done', 'cancelled', 'failed', 'interrupted']);
export type BenchmarkState = z.infer<typeof benchmarkState>;

export const benchmark = z.object({
  id: z.string(),
  model_id: z.string(),
  username: z.string(),
  state: benchmarkState,
  started_at: z.iso.datetime(),
  ended_at: z.iso.datetime().nullable(),
  /** Why it failed or was interrupted. */
  error: failure.nullable(),
  settings: benchmarkSettings,
  subject: benchmarkSubject,
  /** Those that are complete. */
  steps: z.array(benchmarkStep),
  /** Of a run under way. */
  progress: z
    .object({
      /** Null while it warms up and finds out how many words make so many tokens. */
      concurrency: z.number().int().nullable(),
      step_seconds: z.number(),
      requests: z.number().int(),
      failures: z.number().int(),
      seconds_left: z.number(),
    })
    .nullable(),
});
export type Benchmark = z.infer<typeof benchmark>;

/** Older ones of a model are deleted when it is measured again. */
export const keptBenchmarks = 50;

const params = z.object({ id: z.string() });

export const benchmarkRoutes = {
  listBenchmarks: defineRoute({
    method: 'GET',
    path: '/admin/models/:id/benchmarks',
    access: 'models:read',
    summary: `The benchmarks of a model, newest first; the last ${keptBenchmarks} are kept`,
    params,
    response: z.object({ benchmarks: z.array(benchmark) }),
  }),
  startBenchmark: defineRoute({
    method: 'POST',
    path: '/admin/models/:id/benchmarks',
    access: 'models:write',
    summary: 'Measure a running model with more and more requests at once; those who use it will feel it',
    params,
    body: benchmarkSettings,
    response: z.object({ benchmark }),
  }),
  cancelBenchmark: defineRoute({
    method: 'POST',
    path: '/admin/benchmarks/:id/cancel',
    access: 'models:write',
    summary: 'End a benchmark and its requests at once; complete steps are kept',
    params,
    response: z.object({ benchmark }),
  }),
  deleteBenchmark: defineRoute({
    method: 'DELETE',
    path: '/admin/benchmarks/:id',
    access: 'models:write',
    summary: 'Delete a benchmark; one that runs is ended',
    params,
    response: z.object({ status: z.literal('deleted') }),
  }),
};
