import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { Benchmark } from '../../contract/benchmarks.ts';
import { newModel } from '../../contract/models.ts';
import { DockerEngine } from '../../docker/engine.ts';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';

const cortex = new EmbeddedCortex();
const engine = new DockerEngine();
const network = `cortex-test-${randomBytes(4).toString('hex')}`;
let chat = '';
let embed = '';

const make = async (name: string, changes: object) => {
  const model = { name, served_name: name, engine: 'llamacpp', folder: 'tiny', file: 'tiny.gguf', ...changes };
  const { id } = (await cortex.call('createModel', { body: newModel.parse(model) })).model;
  await cortex.call('startModel', { params: { id } });
  return id;
};
const stateOf = async (id: string) => (await cortex.call('getModel', { params: { id } })).model;
const check = async (id: string) => (await cortex.call('checkModel', { params: { id } })).check;
const benchmarks = async (id: string) => (await cortex.call('listBenchmarks', { params: { id } })).benchmarks;
const start = async (id: string, body: object) =>
  (await cortex.call('startBenchmark', { params: { id }, body })).benchmark;
const ended = async ({ id, model_id }: Benchmark): Promise<Benchmark> => {
  const find = async () => (await benchmarks(model_id)).find((one) => one.id === id);
  await vi.waitUntil(async () => (await find())?.state !== 'running', { timeout: 90_000, interval: 100 });
  const found = await find();
  if (found === undefined) throw new Error('it is gone');
  return found;
};

beforeAll(async () => {
  await cortex.start({ CORTEX_ENGINE_NETWORK: network });
  await cortex.signIn();
  await mkdir(join(cortex.models, 'tiny'));
  await writeTinyModel(join(cortex.models, 'tiny/tiny.gguf'));
  chat = await make('tiny', { replicas: 2, options: { context_size: 2048, parallel: 2 } });
  embed = await make('tiny-embed', { task: 'embed' });
  const areReady = async () =>
    (await stateOf(chat)).replica_states.filter(({ state }) => state === 'ready').length === 2 &&
    (await stateOf(embed)).state === 'ready';
  await vi.waitUntil(areReady, { timeout: 90_000, interval: 200 });
});
afterAll(async () => {
  for (const id of [chat, embed]) await cortex.call('deleteModel', { params: { id } });
  const left = () => engine.containers.list({ labels: [`cortex.network=${network}`], all: true });
  await vi.waitUntil(async () => (await left()).length === 0, { timeout: 30_000, interval: 200 });
  await cortex.stop();
  await engine.removeNetwork(network);
  await engine.close();
});

it('a check has each replica answer a chat, and writes no usage', async () => {
  const { ok, replicas } = await check(chat);
  expect(replicas.map(({ error }) => error)).toEqual([null, null]);
  expect(ok).toBe(true);
  for (const [at, one] of replicas.entries()) {
    expect(one).toMatchObject({ replica: at, ok: true, kind: 'chat', answer: expect.stringMatching(/\S/), note: null });
    expect(one.prompt_tokens).toBeGreaterThan(4);
    expect(one.completion_tokens).toBeGreaterThan(1);
    expect(one.tokens_per_second).toBeGreaterThan(0);
    expect(one.first_token_ms).toBeLessThan(one.duration_ms ?? 0);
  }
  const { records } = await cortex.call('listUsage', { query: { limit: 10 } });
  expect(records).toEqual([]);
});

it('a check has an embedding model embed', async () => {
  const { ok, replicas } = await check(embed);
  expect(replicas).toMatchObject([
    { ok: true, kind: 'embeddings', answer: 'an embedding of 64 numbers', completion_tokens: 0, first_token_ms: null },
  ]);
  expect(ok).toBe(true);
});

it('a benchmark measures real answers, with the identity of what ran', async () => {
  const body = { concurrency: [1, 4], prompt_tokens: 200, output_tokens: 24, seconds: 2 };
  const done = await ended(await start(chat, body));
  expect(done).toMatchObject({ state: 'done', error: null, settings: body });
  const container = await engine.containers.inspect(`cortex-model-${chat}`);
  expect(done.subject).toMatchObject({
    ...{ image_id: container?.image, engine: 'llamacpp', replicas: 2, model_version: 1, gpus: [] },
    options: { context_size: 2048, parallel: 2 },
  });
  expect(done.steps.map(({ concurrency }) => concurrency)).toEqual([1, 4]);
  for (const step of done.steps) {
    expect(step.failures).toBe(0);
    const prompt = (step.prompt_tokens ?? 0) / step.requests;
    expect(prompt).toBeGreaterThan(170);
    expect(prompt).toBeLessThan(230);
    expect(step.output_tokens).toBeLessThanOrEqual(step.requests * 24);
    expect(step.output_tokens_per_second).toBeCloseTo((step.output_tokens ?? 0) / step.seconds);
    expect(step.first_token_p50_ms).toBeLessThanOrEqual(step.first_token_p95_ms ?? 0);
    expect(step.per_token_p50_ms).toBeGreaterThan(0);
  }
  const embedded = await ended(await start(embed, { ...body, concurrency: [2] }));
  expect(embedded).toMatchObject({ state: 'done', steps: [{ output_tokens: null, first_token_p50_ms: null }] });
  expect(embedded.steps[0]?.prompt_tokens_per_second).toBeGreaterThan(0);
  expect((await cortex.call('listUsage', { query: { limit: 10 } })).records).toEqual([]);
});

it('a cancel ends the work of the engines', async () => {
  const run = await start(chat, { concurrency: [2], prompt_tokens: 30, output_tokens: 600, seconds: 120 });
  await vi.waitUntil(async () => (await benchmarks(chat))[0]?.progress?.concurrency === 2, { timeout: 90_000 });
  const { benchmark } = await cortex.call('cancelBenchmark', { params: { id: run.id } });
  expect(benchmark.state).toBe('cancelled');
  await expect
    .poll(async () => (await cortex.call('modelLogs', { params: { id: chat }, query: { tail: 5 } })).lines.join('\n'))
    .toContain('cancel task');
});

it('a benchmark that asks for more than the model holds says so', async () => {
  const failed = await ended(await start(chat, { concurrency: [1], prompt_tokens: 4000, seconds: 1 }));
  expect(failed).toMatchObject({ state: 'failed', error: { code: 'engine_failed' }, steps: [] });
  expect(failed.error?.message).toContain('exceeds the available context size');
});

it('a benchmark is over when its model is stopped; then neither is possible', async () => {
  const run = await start(embed, { concurrency: [1], seconds: 120 });
  await cortex.call('stopModel', { params: { id: embed } });
  expect(await ended(run)).toMatchObject({ state: 'interrupted' });
  await vi.waitUntil(async () => (await stateOf(embed)).state === 'stopped', { timeout: 40_000, interval: 100 });
  await expect(check(embed)).rejects.toThrow(/409.*model_not_running/);
  await expect(start(embed, {})).rejects.toThrow(/409.*model_not_running/);
});
