import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { llamacppOptions } from '../../../../contract/engine-options/schema.ts';
import { DockerEngine } from '../../../../docker/engine.ts';
import { RecordingEngine } from '../../../../tests/fixtures/recording-engine.ts';
import type { ModelRecord } from '../../db/model-records.ts';
import { EngineRoom } from './room.ts';

const images = { llamacpp: 'ghcr.io/ggml-org/llama.cpp:server-cuda', vllm: 'vllm/vllm-openai:v0.6.3' } as const;
const facts = { version: null, flags: null };
/** As Docker's host names the models folder. */
const dirHost = '/srv/models';

const recorder = new RecordingEngine();
let engine: DockerEngine;
let dir = '';
let root = '';
let room: EngineRoom;

beforeAll(async () => {
  await recorder.listen();
  engine = new DockerEngine({ host: recorder.host });
});

afterAll(async () => {
  await engine.close();
  await recorder.close();
});

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cortex-room-'));
  root = join(dir, 'models');
  for (const name of ['models/tiny', 'models/other', 'outside']) {
    mkdirSync(join(dir, name), { recursive: true });
    writeFileSync(join(dir, name, 'tiny.gguf'), name);
  }
  symlinkSync(join(dir, 'outside'), join(root, 'leads-out'));
  symlinkSync('tiny', join(root, 'leads-inside'));
  symlinkSync(join(dir, 'outside/tiny.gguf'), join(root, 'tiny/out.gguf'));
  symlinkSync('../other/tiny.gguf', join(root, 'tiny/sideways.gguf'));
  recorder.changes.length = 0;
  recorder.specs.length = 0;
  recorder.onStart = () => undefined;
  recorder.runtimes = [];
  room = new EngineRoom({ engine, imageOf: (name) => images[name], models: { dir: root, dirHost }, network: 'net' });
});

afterEach(() => rmSync(dir, { recursive: true }));

const record = (change: object = {}): ModelRecord =>
  ({
    id: 'mdl_1',
    name: 'Tiny',
    served_name: 'tiny',
    engine: 'llamacpp',
    task: 'generate',
    folder: 'tiny',
    file: 'tiny.gguf',
    options: llamacppOptions.parse({}),
    wanted: 'running',
    createdAt: '2026-01-01T00:00:00.000Z',
    version: 1,
    ...change,
  }) as ModelRecord;
const withOptions = (options: object) => record({ options: { ...llamacppOptions.parse({}), ...options } });

describe('a record that wants more than a model may have', () => {
  it.each([
    ['a way up', record({ folder: '../outside' })],
    ['a way up inside', record({ folder: 'tiny/../../outside' })],
    ['an absolute folder', record({ folder: '/etc' })],
    ['the models folder itself', record({ folder: '.' })],
    ['the models folder by a detour', record({ folder: 'tiny/..' })],
    ['no folder', record({ folder: '' })],
    ['an empty part', record({ folder: 'tiny//' })],
    ['a NUL', record({ folder: 'tiny\0' })],
    ['a line break', record({ folder: 'tiny\n' })],
    ['a link out of the models folder', record({ folder: 'leads-out' })],
    ['a folder that is not there', record({ folder: 'absent' })],
    ['a file above', record({ file: '../../outside/tiny.gguf' })],
    ['a file that is a link out', record({ file: 'out.gguf' })],
    ["a file that is a link to another model's", record({ file: 'sideways.gguf' })],
    ['an id that is a path', record({ id: '../../x' })],
    ['an id with a query', record({ id: 'x?force=1' })],
    ['a name that is a flag', record({ served_name: '--host' })],
    ['another engine', record({ engine: 'sh' })],
    ['an unknown option', withOptions({ privileged: true })],
    ['an option out of its range', withOptions({ threads: -1 })],
    ['where the engine listens', withOptions({ extra_args: ['--host', '::'] })],
    ['another key', withOptions({ extra_args: ['--api-key', 'x'] })],
    ['a download', withOptions({ extra_args: ['--hf-repo', 'x/y'] })],
    ['a file of the machine', withOptions({ extra_args: ['--log-file', '/x'] })],
    ['foreign code', withOptions({ extra_env: { LD_PRELOAD: '/model/x.so' } })],
    ['other GPUs', withOptions({ extra_env: { NVIDIA_VISIBLE_DEVICES: 'all' } })],
    ['every GPU of the machine', record({ gpus: [{ uuid: 'all', bytes: 1 }] })],
    ['a proxy', withOptions({ extra_env: { https_proxy: 'http://x' } })],
    ['two variables in one', withOptions({ extra_env: { 'A=1\nB': '2' } })],
  ])('%s: is refused, and Docker hears nothing of it', async (_what, hostile) => {
    await expect(room.create(hostile, facts)).rejects.toMatchObject({
      code: expect.stringMatching(/^(?:model_refused|folder_outside|folder_not_found)$/),
    });
    expect(recorder.changes).toEqual([]);
  });

  it('gets the image of the catalog and the specification of the room, whatever else stands in it', async () => {
    const hostile = record({
      image: 'evil/image:latest',
      Image: 'evil/image:latest',
      HostConfig: { Privileged: true, Binds: ['/:/host'], Devices: [{ PathOnHost: '/dev/sda' }] },
      network: 'host',
    });
    await room.create(hostile, facts);
    const [made] = recorder.specs;
    expect(made?.Image).toBe(images.llamacpp);
    expect(made?.HostConfig).toMatchObject({ Privileged: false, NetworkMode: 'net' });
    expect(JSON.stringify(made)).not.toMatch(/evil|\/host|\/dev/);
  });

  it('whatever its folder is called, the mount is a real folder below the models folder', async () => {
    const part = fc.constantFrom(
      'tiny',
      'other',
      '..',
      '.',
      '',
      'leads-out',
      'leads-inside',
      '~',
      '$HOME',
      '%2e%2e',
      '..;',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 5 }), async (parts) => {
        recorder.specs.length = 0;
        await room.create(record({ folder: parts.join('/') }), facts).catch(() => undefined);
        for (const { HostConfig } of recorder.specs) {
          const [bind, ...more] = HostConfig.Mounts.filter(({ Type }) => Type === 'bind');
          expect(more).toEqual([]);
          expect([`${dirHost}/tiny`, `${dirHost}/other`]).toContain(bind?.Source);
        }
      }),
    );
  });

  it('a folder with an odd name is one folder, and not read as anything else', async () => {
    const folder = 'a b:/etc:rw,x';
    mkdirSync(join(root, folder), { recursive: true });
    writeFileSync(join(root, folder, 'tiny.gguf'), '');
    await room.create(record({ folder }), facts);
    expect(recorder.specs[0]?.HostConfig.Mounts[0]).toMatchObject({
      Type: 'bind',
      Source: `${dirHost}/${folder}`,
      ReadOnly: true,
    });
  });
});

describe('a folder that is exchanged after it was checked', () => {
  const exchange = () => {
    renameSync(join(root, 'tiny'), join(root, 'was-tiny'));
    symlinkSync(join(dir, 'outside'), join(root, 'tiny'));
  };

  it('a link is resolved once: bending it later changes nothing of the mount, and the start is refused', async () => {
    const id = await room.create(record({ folder: 'leads-inside' }), facts);
    expect(recorder.specs[0]?.HostConfig.Mounts[0]?.Source).toBe(`${dirHost}/tiny`);
    unlinkSync(join(root, 'leads-inside'));
    symlinkSync('other', join(root, 'leads-inside'));
    await expect(room.start(record({ folder: 'leads-inside' }), id, 'key')).rejects.toMatchObject({
      code: 'model_refused',
    });
    expect(recorder.changes).toEqual(['POST /containers/create', `DELETE /containers/${id}`]);
  });

  it('before the start: nothing is started, and the container is removed', async () => {
    const id = await room.create(record(), facts);
    exchange();
    await expect(room.start(record(), id, 'key')).rejects.toMatchObject({ code: 'folder_outside' });
    expect(recorder.changes).toEqual(['POST /containers/create', `DELETE /containers/${id}`]);
  });

  it.each([
    ['for a link that leads out', exchange],
    [
      'for another folder of that name',
      () => {
        renameSync(join(root, 'tiny'), join(root, 'was-tiny'));
        renameSync(join(root, 'other'), join(root, 'tiny'));
      },
    ],
  ])('while Docker starts it, %s: the container is removed', async (_what, swap) => {
    const id = await room.create(record(), facts);
    recorder.onStart = swap;
    await expect(room.start(record(), id, 'key')).rejects.toMatchObject({
      code: expect.stringMatching(/^(?:model_refused|folder_outside)$/),
    });
    expect(recorder.changes).toContain(`POST /containers/${id}/start`);
    expect(recorder.changes.at(-1)).toBe(`DELETE /containers/${id}`);
  });

  it("another model's container is not started for a record", async () => {
    const id = await room.create(record(), facts);
    await expect(room.start(record({ id: 'mdl_2' }), id, 'key')).rejects.toMatchObject({ code: 'model_refused' });
    expect(recorder.changes).toEqual(['POST /containers/create']);
  });
});

describe('a container that is not ours', () => {
  it('is neither shown, stopped, removed nor started', async () => {
    recorder.addForeign('foreign');
    expect(await room.inspect('foreign')).toBeNull();
    await room.stop('foreign', 1);
    await room.remove('foreign');
    await expect(room.start(record(), 'foreign', 'key')).rejects.toMatchObject({ code: 'model_refused' });
    expect(recorder.changes).toEqual([]);
  });
});

it('takes a container of before for none of its own once Docker can give it GPUs', async () => {
  const model = record();
  await room.hasGpus();
  const without = room.specHash(model, 0);
  expect(room.specHash(model, 0)).toBe(without);
  recorder.runtimes = ['nvidia'];
  await room.hasGpus();
  expect(room.specHash(model, 0)).not.toBe(without);
});
