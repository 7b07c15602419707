import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { ModelRecord } from '../../backend/src/db/model-records.ts';
import { EngineRoom } from '../../backend/src/models/engine-room/room.ts';
import { llamacppOptions, vllmOptions } from '../../contract/engine-options/schema.ts';
import { DockerEngine } from '../../docker/engine.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';

const run = promisify(execFile);
const images = { llamacpp: 'ghcr.io/ggml-org/llama.cpp:server-cuda', vllm: 'vllm/vllm-openai:v0.6.3' } as const;
const mark = randomBytes(4).toString('hex');
const network = `cortex-test-${mark}`;
const engine = new DockerEngine();

let root = '';
let room: EngineRoom;
const made: string[] = [];

const base = (folder: string) => ({
  id: `mdl_${mark}${made.length}`,
  name: folder,
  served_name: folder,
  task: 'generate' as const,
  folder,
  wanted: 'running' as const,
  version: 1,
  replicas: 1,
  createdAt: '2026-01-01T00:00:00.000Z',
});
const llama = (folder: string): ModelRecord => ({
  ...base(folder),
  engine: 'llamacpp',
  file: 'tiny.gguf',
  options: llamacppOptions.parse({ context_size: 512, threads: 1, extra_env: { COLOUR: 'green' } }),
});
const vllm = (folder: string): ModelRecord => ({
  ...base(folder),
  engine: 'vllm',
  file: null,
  options: vllmOptions.parse({ max_model_len: 512 }),
});

async function start(record: ModelRecord): Promise<string> {
  const id = await room.create(record, await room.ask(record.engine));
  made.push(id);
  await room.start(record, id, 'the-key');
  return id;
}

/** Whether the engine of a container answers with its key. */
async function answers(id: string, port: number): Promise<number> {
  const address = (await room.inspect(id))?.addresses[network] ?? '';
  return fetch(`http://${address}:${port}/v1/models`, { headers: { authorization: 'Bearer the-key' } }).then(
    (answer) => answer.status,
    () => 0,
  );
}

const text = async (id: string, script: string) =>
  (await run('docker', ['exec', id, 'sh', '-c', `${script} 2>&1 || true`])).stdout.trim();

const inspected = z.object({
  Config: z.object({ User: z.string(), Image: z.string(), Env: z.array(z.string()) }),
  HostConfig: z.record(z.string(), z.unknown()),
  Mounts: z.array(z.object({ Type: z.string(), Source: z.string(), Destination: z.string(), RW: z.boolean() })),
  NetworkSettings: z.object({ Networks: z.record(z.string(), z.unknown()), Ports: z.unknown() }),
});
const inspect = async (id: string) =>
  z.array(inspected).parse(JSON.parse((await run('docker', ['inspect', id])).stdout))[0];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'cortex-confinement-'));
  for (const name of ['tiny', 'owned']) {
    await mkdir(join(root, name));
    await writeTinyModel(join(root, name, 'tiny.gguf'));
  }
  await chown(join(root, 'owned'), 1234, 1235);
  await chown(join(root, 'owned/tiny.gguf'), 1234, 1235);
  await chmod(join(root, 'owned/tiny.gguf'), 0o600);
  await chmod(join(root, 'owned'), 0o700);
  await mkdir(join(root, 'toy'));
  await writeFile(join(root, 'toy/config.json'), JSON.stringify({ architectures: ['LlamaForCausalLM'] }));
  await writeFile(join(root, 'secret.txt'), 'of another model');
  room = new EngineRoom({ engine, imageOf: (name) => images[name], models: { dir: root, dirHost: root }, network });
  await room.prepare();
});

afterEach(async () => {
  for (const id of made.splice(0)) await room.remove(id);
});

afterAll(async () => {
  await engine.removeNetwork(network);
  await engine.close();
  await rm(root, { recursive: true, force: true });
});

describe.each([
  ['llama.cpp', llama, 'tiny', 8080, '65534:65534'],
  ['vLLM', vllm, 'toy', 8000, '0:0'],
] as const)("%s's container, as it really runs", (_name, recordOf, folder, port, user) => {
  it('serves, and has nothing that it does not need', async () => {
    const id = await start(recordOf(folder));
    await expect.poll(() => answers(id, port), { timeout: 60_000, interval: 500 }).toBe(200);

    const found = await inspect(id);
    expect(found?.HostConfig).toMatchObject({
      Privileged: false,
      CapAdd: null,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      ReadonlyRootfs: true,
      IpcMode: 'private',
      CgroupnsMode: 'private',
      PidMode: '',
      UTSMode: '',
      UsernsMode: '',
      NetworkMode: network,
      PidsLimit: 4096,
      OomScoreAdj: 500,
      LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '3' } },
      RestartPolicy: { Name: 'no' },
      Devices: null,
      VolumesFrom: null,
      Binds: null,
      ExtraHosts: null,
      PublishAllPorts: false,
    });
    expect(found?.HostConfig.PortBindings ?? {}).toEqual({});
    const { memoryBytes } = await engine.info();
    const limit = Number(found?.HostConfig.Memory);
    expect(limit).toBeGreaterThan(memoryBytes / 2 - 1);
    expect(limit).toBeLessThan(memoryBytes);
    expect(found?.Config.User).toBe(user);
    expect(Object.keys(found?.NetworkSettings.Networks ?? {})).toEqual([network]);
    const mounts = [...(found?.Mounts ?? [])].sort((a, b) => a.Destination.localeCompare(b.Destination));
    expect(mounts).toMatchObject([
      { Type: 'bind', Source: join(root, folder), Destination: '/model', RW: false },
      { Type: 'volume', Destination: '/run/cortex' },
    ]);
    expect(JSON.stringify(found)).not.toContain('the-key');
    expect(found?.Config.Env).toEqual(
      expect.arrayContaining([
        ...['HF_HUB_OFFLINE=1', 'TRANSFORMERS_OFFLINE=1', 'HF_DATASETS_OFFLINE=1', 'HF_HUB_DISABLE_TELEMETRY=1'],
        ...['VLLM_NO_USAGE_STATS=1', 'VLLM_DO_NOT_TRACK=1', 'DO_NOT_TRACK=1'],
      ]),
    );

    const status = await text(id, 'cat /proc/1/status');
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      expect(status).toMatch(new RegExp(`${set}:\\t0000000000000000`));
    expect(status).toMatch(/NoNewPrivs:\t1/);
    expect(status).toMatch(/Seccomp:\t2/);
    expect(await text(id, 'touch /x /usr/x /model/x')).toMatch(
      /'\/x': Read-only file system[\s\S]*'\/usr\/x': Read-only file system[\s\S]*'\/model\/x': Read-only file system/,
    );
    expect(await text(id, 'ls /model/..; ls /model')).not.toContain('secret.txt');
    expect(await text(id, 'echo kept > /cache/x && cat /cache/x && echo kept > /tmp/x && echo $HOME')).toBe(
      'kept\n/cache',
    );
    expect(await text(id, 'ls /var/run/docker.sock /dev/kmsg /dev/mem /dev/sda')).not.toMatch(/^\/dev|^\/var/m);
    expect(await text(id, 'df -B1 --output=fstype,size /tmp /cache | tail -n 2')).toMatch(/^tmpfs +\d+\s+tmpfs +\d+$/);
    const GiB = 1024 ** 3;
    const sizes = (await text(id, 'df -B1 --output=size /tmp /cache | tail -n 2')).split('\n').map(Number);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(8 * GiB);
  });
});

describe('the user that an engine runs as', () => {
  it('is the owner of a folder that only its owner may read', async () => {
    const id = await start(llama('owned'));
    await expect.poll(() => answers(id, 8080), { timeout: 60_000, interval: 500 }).toBe(200);
    expect((await inspect(id))?.Config.User).toBe('1234:1235');
    expect(await text(id, 'id -u; id -g')).toBe('1234\n1235');
  });
});

describe('a container that is gone', () => {
  it('leaves no volume with its key behind', async () => {
    const id = await start(llama('tiny'));
    const volume =
      (await inspect(id))?.Mounts.find(({ Type }) => Type === 'volume')
        ?.Source.split('/')
        .at(-2) ?? '';
    const list = async () => (await run('docker', ['volume', 'ls', '-q'])).stdout;
    expect(await list()).toContain(volume);
    await room.remove(id);
    expect(await list()).not.toContain(volume);
  });
});
