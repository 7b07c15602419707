import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ObservedModel } from '../../backend/src/models/supervisor.ts';
import { SupervisedModels } from './supervised-models.ts';

const run = promisify(execFile);
const models = new SupervisedModels();

async function chat(model: ObservedModel, key: string): Promise<Response> {
  return fetch(`${model.endpoints[0]?.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ model: 'tiny', max_tokens: 4, messages: [{ role: 'user', content: 'hello' }] }),
  });
}

beforeAll(async () => {
  await models.prepare();
  await mkdir(join(models.root, 'corrupt'));
  await writeFile(join(models.root, 'corrupt', 'tiny.gguf'), 'this is not a model');
});
afterEach(() => models.clear());
afterAll(() => models.close());

describe('a model on a real Engine', () => {
  it('gets ready, answers with its key only, shows no key, survives Cortex, recovers and stops', async () => {
    const model = models.record('tiny');
    models.records = [model];
    models.watch();
    const ready = await models.untilState('ready');
    expect(models.states).toContain('loading');
    expect(models.states).not.toContain('failed');
    const key = ready.endpoints[0]?.apiKey ?? '';
    expect((await chat(ready, key)).status).toBe(200);
    expect((await chat(ready, 'wrong')).status).toBe(401);
    const { stdout } = await run('docker', ['inspect', `cortex-model-${model.id}`]);
    expect(stdout).not.toContain(key);
    expect(stdout).toContain(`"Source": "${models.root}/tiny"`);
    expect(stdout).toMatch(/"Destination": "\/model",\s+"Mode": "",\s+"RW": false/);

    const before = await models.containerOf(model);
    await models.unwatch();
    expect((await models.containerOf(model))?.status).toBe('running');
    models.seen = [];
    models.watch();
    await models.untilState('ready');
    expect((await models.containerOf(model))?.id).toBe(before?.id);

    await run('docker', ['kill', before?.id ?? '']);
    const deadline = Date.now() + 60_000;
    while ((await models.containerOf(model))?.status !== 'running' && Date.now() < deadline) await sleep(200);
    await models.untilState('ready');
    expect((await models.containerOf(model))?.id).not.toBe(before?.id);

    models.records = [{ ...model, wanted: 'stopped' }];
    models.wake();
    await models.untilState('stopped');
    expect(await models.containerOf(model)).toBeNull();
  });

  it('says why a corrupt file failed, and what to do', async () => {
    models.records = [models.record('corrupt')];
    models.watch();
    const failed = await models.untilState('failed');
    expect(failed.reason).toMatch(/GGUF|damaged/i);
    expect(failed.hint).toMatch(/Copy the file/);
  });

  it('removes the container of a model that is gone', async () => {
    const model = models.record('tiny');
    models.records = [model];
    models.watch();
    await models.untilState('ready');
    models.records = [];
    models.wake();
    const deadline = Date.now() + 30_000;
    while ((await models.containerOf(model)) !== null && Date.now() < deadline) await sleep(200);
    expect(await models.containerOf(model)).toBeNull();
  });

  it('starts also after the network was cleared away with what nobody used', async () => {
    const model = models.record('tiny', { wanted: 'stopped' });
    models.records = [model];
    models.watch();
    await models.untilState('stopped');
    await models.engine.removeNetwork(models.network);
    models.records = [{ ...model, wanted: 'running' }];
    models.wake();
    await models.untilState('ready');
    expect(models.states).not.toContain('failed');
  });

  it('names the archive of an image that is missing in offline mode', async () => {
    await expect(models.gate.check('ghcr.io/ggml-org/llama.cpp:absent')).rejects.toMatchObject({
      code: 'image_not_available_offline',
      message: expect.stringContaining('llama.cpp:absent'),
    });
  });
});
