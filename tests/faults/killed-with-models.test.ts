import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Model } from '../../contract/models.ts';
import { llama } from '../docker/supervised-models.ts';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { type Engine, startEngine } from '../ground/engine.ts';

const run = promisify(execFile);
const kills = process.env.LONG === '1' ? 50 : 4;
const convergenceMs = 30_000;

let engine: Engine;
const cortex = new EmbeddedCortex();
const env = (): Record<string, string> => ({
  DOCKER_HOST: engine.host,
  OFFLINE_MODE: 'True',
  MODEL_DRAIN_SECONDS: '2',
});
const docker = (...args: string[]) => run('docker', ['--host', engine.host, ...args]);

beforeAll(async () => {
  engine = await startEngine({ name: 'killed', version: 'bookworm', store: 'overlay2' });
  await run('bash', ['-c', 'set -o pipefail; docker save "$1" | docker --host "$0" load', engine.host, llama]);
  await cortex.start(env());
  await cortex.addTinyModel();
  await cortex.signIn();
});
afterAll(async () => {
  await cortex.stop();
  await engine.stop();
});

interface Running {
  readonly model: string;
  readonly context: string | undefined;
}

/** What runs, as Docker tells it; null where one went meanwhile. */
async function containers(): Promise<Running[] | null> {
  const { stdout: ids } = await docker('ps', '-q', '--filter', 'label=cortex.managed=true');
  const running = ids.split('\n').filter((id) => id !== '');
  if (running.length === 0) return [];
  const format = '{{index .Config.Labels "cortex.model"}} {{json .Config.Cmd}}';
  const inspected = await docker('inspect', '--format', format, ...running).catch(() => null);
  if (inspected === null) return null;
  return inspected.stdout
    .trim()
    .split('\n')
    .map((line) => ({ model: line.split(' ')[0] ?? '', context: /"--ctx-size","(\d+)"/.exec(line)?.[1] }));
}

it(`what is wanted is so, half a minute after each of ${kills} kills of Cortex in the middle of starts, stops and changes`, async () => {
  const make = async (name: string) => {
    const body = { engine: 'llamacpp', name, served_name: name, folder: 'tiny', file: 'tiny.gguf' } as const;
    return (await cortex.call('createModel', { body: { ...body, options: { context_size: 512 } } })).model.id;
  };
  const ids = [await make('one'), await make('two')];
  const get = async (id: string): Promise<Model> => (await cortex.call('getModel', { params: { id } })).model;
  const contexts = [512, 768, 1024];
  let slowestMs = 0;

  /** One thing that an administrator does, whatever is under way. */
  const act = async () => {
    const id = ids[Math.floor(Math.random() * ids.length)] ?? '';
    const { version, wanted } = await get(id);
    const which = Math.random();
    if (which < 0.4) await cortex.call(wanted === 'running' ? 'stopModel' : 'startModel', { params: { id } });
    else if (which < 0.7) await cortex.call('startModel', { params: { id } });
    else {
      const context_size = contexts[Math.floor(Math.random() * contexts.length)] ?? 512;
      await cortex.call('updateModel', { params: { id }, body: { version, options: { context_size } } });
    }
  };

  for (let kill = 0; kill < kills; kill += 1) {
    const acts = (async () => {
      for (;;) {
        await act();
        await sleep(Math.random() * 800);
      }
    })().catch(() => undefined);
    await sleep(300 + Math.random() * 4000);
    await cortex.end('SIGKILL');
    await acts;
    const sinceMs = Date.now();
    await cortex.start(env());
    const right = async (): Promise<boolean> => {
      const models = await Promise.all(ids.map(get));
      const running = await containers();
      const wanted = models.filter((model) => model.wanted === 'running');
      return (
        running !== null &&
        models.every(({ wanted: is, state }) => state === (is === 'running' ? 'ready' : 'stopped')) &&
        running.length === wanted.length &&
        wanted.every(({ id, options }) =>
          running.some(({ model, context }) => model === id && context === String(Object(options).context_size)),
        )
      );
    };
    while (!(await right())) {
      if (Date.now() - sinceMs > convergenceMs)
        expect.fail(`after kill ${kill + 1}: ${JSON.stringify([await Promise.all(ids.map(get)), await containers()])}`);
      await sleep(200);
    }
    slowestMs = Math.max(slowestMs, Date.now() - sinceMs);
  }
  for (const id of ids) await cortex.call('deleteModel', { params: { id } });
  await expect.poll(async () => (await docker('ps', '-aq')).stdout.trim(), { timeout: convergenceMs }).toBe('');
  console.info(`${kills} kills of Cortex: right again after ${slowestMs} ms at most`);
});
