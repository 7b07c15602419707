import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DockerEngine } from '../../docker/engine.ts';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';

const cortex = new EmbeddedCortex();
const docker = new DockerEngine();

beforeAll(async () => {
  await cortex.start({ CORTEX_ENGINE_NETWORK: 'cortex-test-edited' });
  await mkdir(join(cortex.models, 'tiny'));
  await writeTinyModel(join(cortex.models, 'tiny/tiny.gguf'));
  await cortex.signIn();
});
afterAll(async () => {
  await cortex.stop();
  await docker.removeNetwork('cortex-test-edited');
  await docker.close();
});

it('a model that runs starts anew with what was changed, and runs on where its engine has not to be told', async () => {
  const names = { name: 'Tiny', served_name: 'edited', folder: 'tiny', file: 'tiny.gguf' };
  const body = { engine: 'llamacpp', ...names, options: { context_size: 512 } } as const;
  const { id } = (await cortex.call('createModel', { body })).model;
  const state = async () => (await cortex.call('getModel', { params: { id } })).model.state;
  const containers = () => docker.containers.list({ labels: [`cortex.model=${id}`], all: true });
  const isReady = () => expect.poll(state, { timeout: 90_000, interval: 300 }).toBe('ready');
  await cortex.call('startModel', { params: { id } });
  await isReady();
  const [first] = await containers();
  if (first === undefined) throw new Error('there is no container');

  await cortex.call('updateModel', { params: { id }, body: { version: 1, name: 'Renamed' } });
  await new Promise((done) => setTimeout(done, 3_000));
  expect((await containers()).map((one) => one.id)).toEqual([first.id]);

  await cortex.call('updateModel', { params: { id }, body: { version: 2, options: { context_size: 1024 } } });
  await expect
    .poll(async () => (await containers()).every((one) => one.id !== first.id), { timeout: 90_000, interval: 300 })
    .toBe(true);
  await isReady();
  expect((await containers()).length).toBe(1);

  const wrong = { version: 3, options: { extra_args: ['--no-such-flag'] } };
  await expect(cortex.call('updateModel', { params: { id }, body: wrong })).rejects.toThrow(
    /engine_option_unsupported/,
  );
  expect(await state()).toBe('ready');
  await cortex.call('deleteModel', { params: { id } });
  await expect.poll(async () => (await containers()).length, { timeout: 60_000, interval: 300 }).toBe(0);
});
