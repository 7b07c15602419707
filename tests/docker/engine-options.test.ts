import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EngineProbe } from '../../backend/src/models/engine-probe.ts';
import { DockerEngine } from '../../docker/engine.ts';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';

const llama = 'ghcr.io/ggml-org/llama.cpp:server-cuda';
const vllm = 'vllm/vllm-openai';
const engine = new DockerEngine();
const mark = `cortex-test-${randomBytes(4).toString('hex')}`;
const questions = async () => (await engine.containers.list({ labels: [`cortex.question=${mark}`], all: true })).length;

describe('asking an image for its options', () => {
  it('llama.cpp tells its flags, and the container is gone afterwards', async () => {
    const { version, flags } = await new EngineProbe(engine, mark).ask('llamacpp', llama);
    expect(version).toBeNull();
    expect(flags?.get('--ctx-size')).toBe(true);
    expect(flags?.get('--mlock')).toBe(false);
    expect(flags?.has('--load-mode')).toBe(false);
    expect(await questions()).toBe(0);
  });

  it.each([
    ['0.6.3', false],
    ['0.7.0', true],
  ])('vLLM %s tells its version and its flags', async (expected, hasTask) => {
    const { version, flags } = await new EngineProbe(engine, mark).ask('vllm', `${vllm}:v${expected}`);
    expect(version).toBe(expected);
    expect(flags?.get('--max-model-len')).toBe(true);
    expect(flags?.get('--enforce-eager')).toBe(false);
    expect(flags?.has('--task')).toBe(hasTask);
    expect(await questions()).toBe(0);
  });

  it('asks an image once, whatever its name, also where many ask at the same time', async () => {
    const probe = new EngineProbe(engine, mark);
    const answers = await Promise.all([1, 2, 3].map(() => probe.ask('llamacpp', llama)));
    expect(new Set(answers).size).toBe(1);
    expect(await probe.ask('llamacpp', llama)).toBe(answers[0]);
  });

  it('removes what was being asked when Cortex was killed', async () => {
    const Labels = { 'cortex.question': mark };
    await engine.containers.create(`${mark}-left`, { Image: llama, Cmd: ['--help'], Labels });
    await new EngineProbe(engine, mark).sweep();
    expect(await questions()).toBe(0);
  });

  it('says so where the image is not there', async () => {
    await expect(new EngineProbe(engine, mark).ask('vllm', `${vllm}:absent`)).rejects.toMatchObject({
      code: 'image_not_available',
    });
  });
});

describe('a model whose options do not fit', () => {
  const server = new EmbeddedCortex();
  beforeAll(async () => {
    await server.start({ CORTEX_ENGINE_NETWORK: 'cortex-test-options' });
    await mkdir(join(server.models, 'tiny'));
    await writeTinyModel(join(server.models, 'tiny/tiny.gguf'));
    await server.signIn();
  });
  afterAll(async () => {
    await server.stop();
    await engine.removeNetwork('cortex-test-options');
    await engine.close();
  });
  const tiny = { engine: 'llamacpp', name: 'Tiny', served_name: 'tiny', folder: 'tiny', file: 'tiny.gguf' } as const;

  it('the dry run shows the exact command and everything that is wrong', async () => {
    const options = {
      context_size: 512,
      threads: 100_000,
      fit: 'on',
      no_such_option: 1,
      extra_args: ['--port', '1', '--host=x'],
      extra_env: { HF_TOKEN: 'secret-word', MY_TOKEN: 'secret-word' },
    };
    const plan = await server.call('planModel', { body: { ...tiny, folder: 'absent', options } });
    expect(plan.issues.map(({ param }) => param).sort()).toEqual([
      'folder',
      'options.extra_args.0',
      'options.extra_args.2',
      'options.extra_env.HF_TOKEN',
      'options.fit',
      'options.no_such_option',
      'options.threads',
    ]);
    expect(plan.command.join(' ')).toContain('--ctx-size 512');
    expect(plan.command.join(' ')).not.toContain('--threads');
    expect(plan.image_asked).toBe(true);
    expect(JSON.stringify(plan)).not.toContain('secret-word');
  });

  it('a plan that is right has no issue, and hides secrets', async () => {
    const options = { context_size: 512, threads: 1, extra_env: { MY_TOKEN: 'secret-word', COLOUR: 'green' } };
    const plan = await server.call('planModel', { body: { ...tiny, options } });
    expect(plan.issues).toEqual([]);
    expect(plan.env).toEqual(expect.arrayContaining(['HF_HUB_OFFLINE=1', 'MY_TOKEN=‹hidden›', 'COLOUR=green']));
    expect(JSON.stringify(plan)).not.toContain('secret-word');
  });

  it('is refused before the start with the reason, and nothing is changed', async () => {
    const body = { ...tiny, options: { fit: 'on', load_mode: 'dio' } } as const;
    const { model } = await server.call('createModel', { body });
    await expect(server.call('startModel', { params: { id: model.id } })).rejects.toThrow(
      /does not have load_mode=dio.*does not have fit.*engine_option_unsupported/,
    );
    const { model: after } = await server.call('getModel', { params: { id: model.id } });
    expect(after).toMatchObject({ wanted: 'stopped', state: 'stopped' });
    await server.call('deleteModel', { params: { id: model.id } });
  });

  it('starts with options that the image has, written in its own words', async () => {
    const body = { ...tiny, options: { context_size: 512, threads: 1, load_mode: 'mlock', warmup: false } } as const;
    const { model } = await server.call('createModel', { body });
    await server.call('startModel', { params: { id: model.id } });
    await expect
      .poll(async () => (await server.call('getModel', { params: { id: model.id } })).model.state, {
        timeout: 90_000,
        interval: 500,
      })
      .toBe('ready');
    await server.call('stopModel', { params: { id: model.id } });
    await expect
      .poll(async () => (await server.call('getModel', { params: { id: model.id } })).model.state, { timeout: 60_000 })
      .toBe('stopped');
    await server.call('deleteModel', { params: { id: model.id } });
  });
});
