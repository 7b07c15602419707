import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ModelRecord } from '../../backend/src/db/model-records.ts';
import { EngineRoom } from '../../backend/src/models/engine-room/room.ts';
import { ImageGate } from '../../backend/src/models/image-gate.ts';
import { type ObservedModel, Supervisor } from '../../backend/src/models/supervisor.ts';
import { llamacppOptions } from '../../contract/engine-options/schema.ts';
import { DockerEngine } from '../../docker/engine.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';

const run = promisify(execFile);
const llama = 'ghcr.io/ggml-org/llama.cpp:server-cuda';
const mark = randomBytes(4).toString('hex');
const network = `cortex-test-${mark}`;
const policy = {
  OFFLINE_MODE: true,
  OFFLINE_MODE_AUTO_DETECT: false,
  REQUIRE_IMAGE_PRECACHE: false,
  IMAGE_PULL_TIMEOUT: 5,
};
const engine = new DockerEngine();
const gate = new ImageGate({
  images: engine.images,
  policy,
  archiveFile: () => 'llamacpp-server-cuda.tar',
  configured: [llama],
});
const rootSecret = randomBytes(32);
const silent = { info: () => undefined, warn: () => undefined };

let root = '';
let records: ModelRecord[] = [];
let watched: { supervisor: Supervisor; seen: ObservedModel[]; states: Set<string> } | undefined;

function watch() {
  const states = new Set<string>();
  const entry = { seen: [] as ObservedModel[], states };
  const supervisor = new Supervisor({
    room: new EngineRoom({ engine, imageOf: () => llama, models: { dir: root, dirHost: root }, network }),
    gate,
    listModels: () => Promise.resolve(records),
    startTimeoutMs: 60_000,
    rootSecret,
    onObserved: (models) => {
      entry.seen = [...models];
      for (const { state } of models) states.add(state);
    },
    onStep: (_id, state) => states.add(state),
    logger: silent,
  });
  supervisor.start();
  watched = Object.assign(entry, { supervisor });
  return watched;
}

function record(folder: string, wanted: 'running' | 'stopped'): ModelRecord {
  return {
    id: `t${mark}-${folder}`,
    name: folder,
    served_name: folder,
    engine: 'llamacpp',
    task: 'generate',
    folder,
    file: 'tiny.gguf',
    options: llamacppOptions.parse({ context_size: 512, threads: 1 }),
    wanted,
    createdAt: '2026-01-01T00:00:00.000Z',
    version: 1,
  };
}

async function until(state: string): Promise<ObservedModel> {
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline) {
    const found = watched?.seen.find((model) => model.state === state);
    if (found !== undefined) return found;
    await sleep(100);
  }
  throw new Error(`not ${state} in 60 s: ${JSON.stringify(watched?.seen)}`);
}

const containerOf = (model: ModelRecord) => engine.containers.inspect(`cortex-model-${model.id}`);

async function chat(model: ObservedModel, key: string): Promise<Response> {
  return fetch(`${model.endpoint?.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ model: 'tiny', max_tokens: 4, messages: [{ role: 'user', content: 'hello' }] }),
  });
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'cortex-models-'));
  await mkdir(join(root, 'tiny'));
  await mkdir(join(root, 'corrupt'));
  await writeTinyModel(join(root, 'tiny', 'tiny.gguf'));
  await writeFile(join(root, 'corrupt', 'tiny.gguf'), 'this is not a model');
});

afterEach(async () => {
  await watched?.supervisor.close();
  watched = undefined;
  for (const model of records) {
    const container = await containerOf(model);
    if (container !== null) await engine.containers.remove(container.id, { force: true });
  }
  records = [];
});

afterAll(async () => {
  await engine.removeNetwork(network);
  await engine.close();
  await rm(root, { recursive: true, force: true });
});

describe('a model on a real Engine', () => {
  it('gets ready, answers with its key only, shows no key, survives Cortex, recovers and stops', async () => {
    const model = record('tiny', 'running');
    records = [model];
    const first = watch();
    const ready = await until('ready');
    expect(first.states).toContain('loading');
    expect(first.states).not.toContain('failed');
    const key = ready.endpoint?.apiKey ?? '';
    expect((await chat(ready, key)).status).toBe(200);
    expect((await chat(ready, 'wrong')).status).toBe(401);
    const { stdout } = await run('docker', ['inspect', `cortex-model-${model.id}`]);
    expect(stdout).not.toContain(key);
    expect(stdout).toContain(`"Source": "${root}/tiny"`);
    expect(stdout).toMatch(/"Destination": "\/model",\s+"Mode": "",\s+"RW": false/);

    const before = await containerOf(model);
    await first.supervisor.close();
    expect((await containerOf(model))?.status).toBe('running');
    watch();
    await until('ready');
    expect((await containerOf(model))?.id).toBe(before?.id);

    await run('docker', ['kill', before?.id ?? '']);
    const deadline = Date.now() + 60_000;
    while ((await containerOf(model))?.status !== 'running' && Date.now() < deadline) await sleep(200);
    await until('ready');
    expect((await containerOf(model))?.id).not.toBe(before?.id);

    records = [{ ...model, wanted: 'stopped' }];
    watched?.supervisor.wake();
    await until('stopped');
    expect(await containerOf(model)).toBeNull();
  });

  it('says why a corrupt file failed, and what to do', async () => {
    records = [record('corrupt', 'running')];
    watch();
    const failed = await until('failed');
    expect(failed.reason).toMatch(/GGUF|damaged/i);
    expect(failed.hint).toMatch(/Copy the file/);
  });

  it('removes the container of a model that is gone', async () => {
    const model = record('tiny', 'running');
    records = [model];
    watch();
    await until('ready');
    records = [];
    watched?.supervisor.wake();
    const deadline = Date.now() + 30_000;
    while ((await containerOf(model)) !== null && Date.now() < deadline) await sleep(200);
    expect(await containerOf(model)).toBeNull();
  });

  it('names the archive of an image that is missing in offline mode', async () => {
    await expect(gate.check('ghcr.io/ggml-org/llama.cpp:absent')).rejects.toMatchObject({
      code: 'image_not_available_offline',
      message: expect.stringContaining('llama.cpp:absent'),
    });
  });
});
