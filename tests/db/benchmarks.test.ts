import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { insertModel, listModels } from '../../backend/src/db/model-records.ts';
import { EngineClient } from '../../backend/src/gateway/engine-client/engine-client.ts';
import { MeasuredEngines } from '../../backend/src/gateway/measured-engines.ts';
import { Benchmarks } from '../../backend/src/jobs/benchmarks.ts';
import { Balancer } from '../../backend/src/routing/balancer.ts';
import { RoutingTable } from '../../backend/src/routing/table.ts';
import { type Benchmark, type BenchmarkSubject, benchmarkSettings, keptBenchmarks } from '../../contract/benchmarks.ts';
import { CortexError } from '../../contract/errors.ts';
import { type Model, type ModelState, model as modelSchema, newModel } from '../../contract/models.ts';
import { engineKey, ScriptedEngine, type SeenRequest, sendFrames, sendJson } from '../fixtures/scripted-engine.ts';
import { onBothDatabases } from './both-databases.ts';

const settings = benchmarkSettings.parse({ concurrency: [1, 3], prompt_tokens: 90, output_tokens: 8, seconds: 1 });
const wordsOf = ({ body }: SeenRequest): number => String(Object(JSON.parse(body)).prompt).split(' ').length;

onBothDatabases((database) => {
  const made: Benchmarks[] = [];
  const used = new Set<string>();
  let engine: ScriptedEngine;
  let client: EngineClient;
  let table: RoutingTable;
  let model: Model;

  /** Each word is two tokens, and ten stand around them. */
  const complete = async (response: ServerResponse, seen: SeenRequest) => {
    const asked = Object(JSON.parse(seen.body));
    const counts = { prompt_tokens: 10 + 2 * wordsOf(seen), completion_tokens: asked.max_tokens };
    const text = (piece: string) => `data: ${JSON.stringify({ choices: [{ text: piece }] })}\n\n`;
    await sendFrames(response, [text('one'), text('more')], 10);
    response.end(`data: ${JSON.stringify({ choices: [], usage: counts })}\n\ndata: [DONE]\n\n`);
  };
  const show = (state: ModelState) => {
    model = { ...model, state };
    const endpoint = { url: engine.url, apiKey: engineKey, model: 'tiny', ca: null, external: false };
    table.replaceModels([
      {
        ...{ modelId: model.id, servedName: 'tiny', task: 'generate' as const, state, createdAtMs: 0 },
        endpoints: state === 'ready' ? [{ id: 'replica-0', ...endpoint }] : [],
      },
    ]);
  };
  const subjectOf = async ({ served_name, engine, task, version, folder, file, replicas, options, image }: Model) =>
    ({
      ...{ served_name, engine, task, model_version: version, folder, file, replicas, options, image },
      ...{ image_id: null, engine_version: 'b1', gpus: [], cpu: '2 × test' },
    }) satisfies BenchmarkSubject;
  const open = (): Benchmarks => {
    const engines = new MeasuredEngines({
      ...{ table, client, balancer: new Balancer() },
      onUsed: (modelId) => void used.add(modelId),
    });
    const models = {
      get: async (id: string) => {
        if (id !== model.id) throw new CortexError('not_found', { what: 'model', id });
        return model;
      },
    };
    const benchmarks = new Benchmarks({
      ...{ db: database().db, models, engines, subjectOf, logger: { warn: () => undefined } },
    });
    made.push(benchmarks);
    return benchmarks;
  };
  const read = async (benchmarks: Benchmarks, id: string): Promise<Benchmark> => {
    const found = (await benchmarks.list(model.id)).find((one) => one.id === id);
    if (found === undefined) throw new Error('it is gone');
    return found;
  };
  const ends = (benchmarks: Benchmarks, id: string) =>
    vi.waitUntil(async () => (await read(benchmarks, id)).state !== 'running', { timeout: 15_000, interval: 20 });
  const isMeasuring = (benchmarks: Benchmarks, id: string) =>
    vi.waitUntil(async () => ((await read(benchmarks, id)).progress?.requests ?? 0) > 0, {
      ...{ timeout: 5000, interval: 10 },
    });
  const underWay = () => engine.seen.filter(({ abortedAtMs }) => abortedAtMs === null);

  beforeEach(async () => {
    engine = new ScriptedEngine();
    await engine.start();
    engine.script = complete;
    client = new EngineClient();
    table = new RoutingTable();
    const { db } = database();
    await insertModel(
      db,
      newModel.parse({ name: 'Tiny', served_name: 'tiny', engine: 'llamacpp', folder: 'tiny', file: 'tiny.gguf' }),
    );
    const [record] = await listModels(db);
    const now = new Date().toISOString();
    model = modelSchema.parse({
      ...record,
      ...{
        image: 'llama',
        replica_states: [],
        state: 'ready',
        reason: null,
        hint: null,
        cause: null,
        since: now,
        created_at: now,
      },
    });
    show('ready');
  });
  afterEach(async () => {
    for (const benchmarks of made.splice(0)) await benchmarks.close();
    client.close();
    await engine.close();
    await database().db.deleteFrom('models').execute();
    expect(await database().db.selectFrom('benchmarks').select('id').execute()).toEqual([]);
  });

  it("measures step by step with prompts of the wanted length, and keeps the engine's counts", async () => {
    const benchmarks = open();
    const { id, ...begun } = await benchmarks.start(model.id, settings, 'ada');
    expect(begun).toMatchObject({ state: 'running', username: 'ada', steps: [], progress: { concurrency: null } });
    await isMeasuring(benchmarks, id);
    expect((await read(benchmarks, id)).progress).toMatchObject({ concurrency: 1, failures: 0 });
    await ends(benchmarks, id);
    const ended = await read(benchmarks, id);
    expect(ended).toMatchObject({ state: 'done', error: null, progress: null, settings });
    expect(ended.subject).toMatchObject({ model_version: 1, engine_version: 'b1' });
    expect(ended.steps.map(({ concurrency, failures }) => [concurrency, failures])).toEqual([
      [1, 0],
      [3, 0],
    ]);
    for (const step of ended.steps) {
      expect(step.requests).toBeGreaterThan(3);
      expect(step.output_tokens).toBe(step.requests * 8);
      expect(step.prompt_tokens).toBe(step.requests * 90);
      expect(step.output_tokens_per_second).toBeCloseTo((step.requests * 8) / step.seconds);
      expect(step.first_token_p50_ms).toBeLessThan(step.duration_p50_ms ?? 0);
      expect(step.per_token_p95_ms).toBeGreaterThan(0);
    }
    const last = engine.seen.at(-1);
    expect(JSON.parse(last?.body ?? '')).toMatchObject({
      model: 'tiny',
      max_tokens: 8,
      ignore_eos: true,
      stream: true,
    });
    expect(new Set(engine.seen.map(({ body }) => body)).size).toBe(engine.seen.length);
    expect(used).toEqual(new Set([model.id]));
  });

  it('has so many requests under way at once, and no more', async () => {
    let atOnce = 0;
    let most = 0;
    engine.script = async (response, seen) => {
      atOnce += 1;
      most = Math.max(most, atOnce);
      await complete(response, seen);
      atOnce -= 1;
    };
    const benchmarks = open();
    const { id } = await benchmarks.start(model.id, { ...settings, concurrency: [3] }, 'ada');
    await ends(benchmarks, id);
    expect(most).toBe(3);
  });

  it('is one at a time for a model, and only for one that is ready', async () => {
    const benchmarks = open();
    const first = benchmarks.start(model.id, settings, 'ada');
    await expect(benchmarks.start(model.id, settings, 'bob')).rejects.toMatchObject({ code: 'benchmark_running' });
    await benchmarks.delete((await first).id);
    show('stopped');
    await expect(benchmarks.start(model.id, settings, 'ada')).rejects.toThrow("The model 'tiny' is stopped");
    await expect(benchmarks.start('nobody', settings, 'ada')).rejects.toMatchObject({ code: 'not_found' });
    expect(await benchmarks.list(model.id)).toEqual([]);
  });

  it('ends with its requests at once when it is cancelled', async () => {
    const benchmarks = open();
    const { id } = await benchmarks.start(model.id, { ...settings, concurrency: [2], seconds: 60 }, 'ada');
    await isMeasuring(benchmarks, id);
    engine.script = (response) => sendFrames(response, ['data: {}\n\n']);
    engine.seen.length = 0;
    await vi.waitUntil(() => engine.seen.length === 2);
    const cancelled = await benchmarks.cancel(id);
    expect(cancelled).toMatchObject({ state: 'cancelled', error: null, steps: [], progress: null });
    await vi.waitUntil(() => underWay().length === 0);
    await sleep(50);
    expect(engine.seen).toHaveLength(2);
  });

  it('ends when its model is stopped, and keeps what it has measured', async () => {
    const benchmarks = open();
    const { id } = await benchmarks.start(model.id, { ...settings, concurrency: [1, 2], seconds: 1 }, 'ada');
    await vi.waitUntil(async () => (await read(benchmarks, id)).steps.length === 1, 10_000);
    show('stopping');
    await ends(benchmarks, id);
    expect(await read(benchmarks, id)).toMatchObject({
      state: 'interrupted',
      error: { message: "The model 'tiny' was stopped while it was measured." },
      steps: [{ concurrency: 1 }],
    });
  });

  it('ends when its model is changed: what comes then is another one', async () => {
    const benchmarks = open();
    const { id } = await benchmarks.start(model.id, settings, 'ada');
    model = { ...model, version: 2 };
    await ends(benchmarks, id);
    expect(await read(benchmarks, id)).toMatchObject({
      state: 'interrupted',
      error: { message: "The model 'tiny' was changed while it was measured." },
    });
  });

  it('fails with what the engine says, without asking on and on', async () => {
    const benchmarks = open();
    engine.script = (response) => sendJson(response, { error: { message: 'the context is full' } }, 400);
    const early = await benchmarks.start(model.id, settings, 'ada');
    await ends(benchmarks, early.id);
    expect((await read(benchmarks, early.id)).error?.message).toContain('the context is full');
    expect(engine.seen).toHaveLength(1);

    engine.script = complete;
    const late = await benchmarks.start(model.id, settings, 'ada');
    await isMeasuring(benchmarks, late.id);
    engine.script = (response) => sendJson(response, { error: { message: 'CUDA error' } }, 500);
    await ends(benchmarks, late.id);
    const failed = await read(benchmarks, late.id);
    expect(failed).toMatchObject({ state: 'failed', error: { code: 'engine_failed' } });
    expect(failed.steps.at(-1)).toMatchObject({ concurrency: 3, requests: 0, failures: 3 });
  });

  it('is told to be interrupted when Cortex stops, and when it was killed', async () => {
    const before = open();
    const stopped = await before.start(model.id, settings, 'ada');
    await before.close();
    const message = 'Cortex was stopped while it was measured.';
    expect(await read(before, stopped.id)).toMatchObject({ state: 'interrupted', error: { message } });

    const killed = await before.start(model.id, { ...settings, seconds: 60 }, 'ada');
    const after = open();
    await after.takeUp();
    expect(await read(after, killed.id)).toMatchObject({
      ...{ state: 'interrupted', progress: null },
      error: { message: 'Cortex ended while it was measured.' },
    });
  });

  it('keeps the newest ones of each model', async () => {
    const benchmarks = open();
    engine.script = (response) => sendJson(response, { error: { message: 'no' } }, 400);
    const ids: string[] = [];
    for (let n = 0; n <= keptBenchmarks; n += 1) {
      const { id } = await benchmarks.start(model.id, settings, 'ada');
      ids.unshift(id);
      await ends(benchmarks, id);
    }
    expect((await benchmarks.list(model.id)).map(({ id }) => id)).toEqual(ids.slice(0, keptBenchmarks));
    await benchmarks.delete(ids[0] ?? '');
    expect((await benchmarks.list(model.id)).map(({ id }) => id)).toEqual(ids.slice(1, keptBenchmarks));
    await expect(benchmarks.cancel(ids[0] ?? '')).rejects.toMatchObject({ code: 'not_found' });
  });
});
