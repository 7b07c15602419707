import { execFile, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DockerEngine } from '../../docker/engine.ts';
import { loadIntoContainerd } from '../../offline/containerd.ts';
import type { PackageEvent } from '../../offline/events.ts';
import { takeInventory } from '../../offline/inventory.ts';
import { loadPackage } from '../../offline/load.ts';
import { PackageReader } from '../../offline/package-reader.ts';
import { pushPackage } from '../../offline/push.ts';
import { RegistryServer, serveExactly } from '../../offline/registry-server.ts';
import { makeImage, makeLayer, manifestType, pushImage } from '../fixtures/registry-images.ts';
import { type Engine, startEngine } from '../ground/engine.ts';
import { flipByte, registryOrigin, rootDir, Workshop } from './workshop.ts';

const run = promisify(execFile);
const shop = new Workshop();
const base = makeLayer('load-base', 6_000_000);
const first = makeImage([base, makeLayer('load-first', 3_000_000)]);
const second = makeImage([base, makeLayer('load-first', 3_000_000), makeLayer('load-second', 1_000_000)]);
const named = (name: string) => `127.0.0.1:5055/${name}`;

beforeAll(async () => {
  await pushImage(registryOrigin, 'load-test/app', '1', first);
  await pushImage(registryOrigin, 'load-test/app', '2', second);
  await shop.prepare('one', ['load-test/app:1']);
});
afterAll(() => shop.close());

async function load(
  engine: DockerEngine,
  outputs: readonly string[],
  receipts: string,
  method: 'auto' | 'loopback' | 'stream' = 'auto',
) {
  const reader = await PackageReader.open(outputs.map((output) => shop.path(output)));
  const events: PackageEvent[] = [];
  try {
    const result = await loadPackage({
      reader,
      receiptDir: shop.path(receipts),
      engine,
      modelsDir: shop.path(`${receipts}-models`),
      method,
      report: (event) => void events.push(event),
    });
    return {
      result,
      movedBytes: events.reduce((total, event) => total + (event.kind === 'bytes' ? event.bytes : 0), 0),
    };
  } finally {
    await reader.close();
  }
}

for (const [version, store] of [
  ['bookworm', 'overlay2'],
  ['trixie', 'overlay2'],
  ['trixie', 'containerd'],
] as const) {
  describe(`an Engine ${version === 'bookworm' ? '20.10' : '26.1'} with ${store}`, () => {
    let privateEngine: Engine;
    let engine: DockerEngine;
    const receipts = `receipts-${version}-${store}`;
    beforeAll(async () => {
      privateEngine = await startEngine({ name: `load-${store}-${process.pid}`, version, store });
      engine = new DockerEngine({ host: privateEngine.host });
    });
    afterAll(async () => {
      await engine.close();
      await privateEngine.stop();
    });

    it('refuses a delta whose base it does not have, and says what lacks', async () => {
      await shop.prepare('delta', ['load-test/app:2'], { baseFile: shop.path('one') });
      const { result } = await load(engine, ['delta'], receipts);
      expect(result.failures.map(({ error }) => [error.code, error.message.includes('2 layers of')])).toEqual([
        ['base_missing', true],
      ]);
      expect(await engine.images.inspect(named('load-test/app:2'))).toBeNull();
    });

    it('loads a package once, and nothing of it travels a second time', async () => {
      expect((await load(engine, ['one'], receipts)).movedBytes).toBeGreaterThan(8_000_000);
      const again = await load(engine, ['one'], receipts);
      expect(again.result.objects.map(({ result }) => result)).toEqual(['present']);
      expect(again.movedBytes).toBe(0);
    });

    it('then takes the delta, which holds only what is new', async () => {
      const tar = readdirSync(shop.path('delta')).find((name) => name.endsWith('.tar')) ?? '';
      expect(statSync(shop.path(`delta/${tar}`)).size).toBeLessThan(1_200_000);
      const { result } = await load(engine, ['delta'], receipts);
      expect(result.failures).toEqual([]);
    });

    it('can be asked for an inventory, and a package made from it brings only what it lacks', async () => {
      const found = await takeInventory({ engine, receiptDir: shop.path(receipts), modelsDir: shop.path('no-models') });
      writeFileSync(shop.path('inventory.json'), JSON.stringify(found));
      const { bill } = await shop.prepare(`from-inventory-${version}-${store}`, ['load-test/app:2'], {
        baseFile: shop.path('inventory.json'),
      });
      expect(bill.images[0]?.sizeBytes).toBeLessThan(50_000);
      expect((await load(engine, [`from-inventory-${version}-${store}`], receipts)).result.failures).toEqual([]);
    });

    it('replaces an older image under the same name', async () => {
      await engine.images.tag(named('load-test/app:2'), named('load-test/app'), '1');
      expect((await load(engine, ['one'], receipts)).result.objects.map(({ result }) => result)).toEqual(['loaded']);
    });

    it('takes a package in volumes, in any order, streamed as well', async () => {
      await shop.prepare('volumes', ['load-test/app:1'], { volumeBytes: 8_500_000 });
      const folders = readdirSync(shop.path('volumes'))
        .reverse()
        .map((name) => `volumes/${name}`);
      expect(folders.length).toBeGreaterThan(1);
      await engine.images.remove(named('load-test/app:1'), { force: true });
      expect((await load(engine, folders, receipts, 'stream')).result.failures).toEqual([]);
    });

    it('keeps nothing of an image whose package is damaged, on either way in', async () => {
      cpSync(shop.path('one'), shop.path('damaged'), { recursive: true });
      const tar = readdirSync(shop.path('damaged')).find((name) => name.endsWith('.tar')) ?? '';
      await flipByte(shop.path(`damaged/${tar}`), -200_000);
      for (const method of ['loopback', 'stream'] as const) {
        for (const tag of ['1', '2']) await engine.images.remove(named(`load-test/app:${tag}`), { force: true });
        const { result } = await load(engine, ['damaged'], receipts, method);
        expect(result.failures.map(({ error }) => error.code)).toEqual(['package_file_altered']);
        expect(await engine.images.inspect(named('load-test/app:1'))).toBeNull();
      }
    });

    it('can be loaded again right after a load that was killed', async () => {
      const args = ['offline', 'load', '--image-dir', shop.path('one'), '--allow-unsigned', '--no-models'];
      const env = { ...process.env, DOCKER_HOST: privateEngine.host, CORTEX_PACKAGE_DIR: shop.path('killed-receipts') };
      for (let round = 0; round < (process.env.LONG ? 50 : 4); round += 1) {
        await engine.images.remove(named('load-test/app:1'), { force: true });
        const child = spawn(process.execPath, [join(rootDir, 'dist/cli/main.js'), ...args], { env, stdio: 'ignore' });
        const gone = new Promise((resolve) => child.once('close', resolve));
        await sleep(200 + Math.random() * 700);
        child.kill('SIGKILL');
        await gone;
        expect((await load(engine, ['one'], receipts)).result.failures).toEqual([]);
      }
    });
  });
}

describe('models', () => {
  let engine: DockerEngine;
  beforeAll(() => {
    engine = new DockerEngine({});
  });
  afterAll(() => engine.close());

  it('are placed whole, and what is there with the same bytes stays', async () => {
    mkdirSync(shop.path('tiny/sub'), { recursive: true });
    writeFileSync(shop.path('tiny/model.gguf'), Buffer.concat([Buffer.from('GGUF'), Buffer.alloc(9_000_000, 7)]));
    writeFileSync(shop.path('tiny/sub/notes.txt'), 'hello');
    const { bill } = await shop.prepare('with-model', [], { models: [shop.path('tiny')] });
    expect(bill.models[0]?.files.map(({ path }) => path)).toEqual(['model.gguf', 'sub/notes.txt']);
    expect((await load(engine, ['with-model'], 'models')).result.failures).toEqual([]);
    expect(readFileSync(shop.path('models-models/tiny/sub/notes.txt'), 'utf8')).toBe('hello');
    expect((await load(engine, ['with-model'], 'models')).result.objects).toEqual([
      { name: 'models/tiny', result: 'present' },
    ]);
  });

  it('are not written over others of the same name', async () => {
    writeFileSync(shop.path('models-models/tiny/sub/notes.txt'), 'mine');
    const { result } = await load(engine, ['with-model'], 'models');
    expect(result.failures.map(({ error }) => error.code)).toEqual(['models_differ']);
    expect(readFileSync(shop.path('models-models/tiny/sub/notes.txt'), 'utf8')).toBe('mine');
  });

  it('that lack a part or a tokenizer are warned of before the drive leaves', async () => {
    mkdirSync(shop.path('lacking'));
    writeFileSync(shop.path('lacking/model-00001-of-00002.safetensors'), 'x');
    const { events } = await shop.prepare('lacking-out', [], { models: [shop.path('lacking')] });
    const warnings = events.flatMap((event) => (event.kind === 'warning' ? [event.message] : [])).join('\n');
    expect(warnings).toContain('config.json is missing');
    expect(warnings).toContain('no tokenizer');
    expect(warnings).toContain('model-00002-of-00002.safetensors is missing');
    expect(warnings).toContain('it is empty or cut');
  });
});

describe('registries', () => {
  it('a package serves itself to other machines', async () => {
    const reader = await PackageReader.open([shop.path('one')]);
    const server = new RegistryServer({ find: serveExactly(reader) });
    const { port } = await server.listen('127.0.0.1', 0);
    try {
      const target = shop.path('served');
      await run('skopeo', [
        'copy',
        '--src-tls-verify=false',
        `docker://127.0.0.1:${port}/load-test/app:1`,
        `oci:${target}:x`,
      ]);
      const index = JSON.parse(readFileSync(join(target, 'index.json'), 'utf8'));
      expect(index.manifests[0].digest).toBe(first.manifest.digest);
      const refused = await fetch(`http://127.0.0.1:${port}/v2/load-test/app/blobs/uploads/`, { method: 'POST' });
      expect(refused.status).toBe(405);
      expect((await fetch(`http://127.0.0.1:${port}/v2/../../etc/passwd`)).status).toBe(404);
    } finally {
      await server.close();
      await reader.close();
    }
  });

  it('an empty registry is filled, under other names where that is asked for, and a second time nothing travels', async () => {
    const port = await freePort();
    const storage = shop.path('registry');
    const registry = spawn('docker-registry', ['serve', join(rootDir, 'tests/images/registry/config.yml')], {
      env: {
        ...process.env,
        REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: storage,
        REGISTRY_HTTP_ADDR: `127.0.0.1:${port}`,
      },
      stdio: 'ignore',
    });
    try {
      await reachable(port);
      const reader = await PackageReader.open([shop.path('one')]);
      const moved: number[] = [];
      for (let round = 0; round < 2; round += 1) {
        let bytes = 0;
        const pushed = await pushPackage({
          reader,
          registry: `127.0.0.1:${port}`,
          renames: new Map([['load-test/app', 'renamed']]),
          report: (event) => {
            if (event.kind === 'bytes') bytes += event.bytes;
          },
        });
        expect(pushed.map(({ name }) => name)).toEqual([`127.0.0.1:${port}/renamed:1`]);
        moved.push(bytes);
      }
      expect(moved[0]).toBeGreaterThan(8_000_000);
      expect(moved[1]).toBe(0);
      await reader.close();
      const answer = await fetch(`http://127.0.0.1:${port}/v2/renamed/manifests/1`, {
        headers: { accept: manifestType },
      });
      expect(answer.headers.get('docker-content-digest')).toBe(first.manifest.digest);
    } finally {
      registry.kill();
    }
  });
});

describe('without Docker', () => {
  it('containerd alone takes a package through ctr', async () => {
    const ground = process.env.CORTEX_GROUND ?? join(rootDir, '.tests/ground');
    const dir = shop.path('containerd');
    mkdirSync(dir);
    const config = shop.path('containerd.toml');
    writeFileSync(
      config,
      `version = 2\nroot = "${dir}/root"\nstate = "/run/cxc-${process.pid}"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "/run/cxc-${process.pid}.sock"\n`,
    );
    const daemon = spawn(join(ground, 'trixie/usr/bin/containerd'), ['--config', config], { stdio: 'ignore' });
    const path = process.env.PATH;
    const socket = `/run/cxc-${process.pid}.sock`;
    try {
      for (let tries = 0; !existsSync(socket) && tries < 100; tries += 1) await sleep(100);
      process.env.PATH = `${join(ground, 'trixie/usr/bin')}:${path}`;
      process.env.CONTAINERD_ADDRESS = socket;
      const reader = await PackageReader.open([shop.path('one')]);
      for (const expected of ['loaded', 'present']) {
        const { objects } = await loadIntoContainerd({
          reader,
          receiptDir: shop.path('ctr'),
          namespace: 'default',
          report: () => undefined,
        });
        expect(objects.map(({ result }) => result)).toEqual([expected]);
      }
      await reader.close();
    } finally {
      process.env.PATH = path;
      delete process.env.CONTAINERD_ADDRESS;
      daemon.kill();
      await new Promise((resolve) => daemon.once('close', resolve));
      rmSync(`/run/cxc-${process.pid}`, { recursive: true, force: true });
    }
  });

  it('Podman takes a package through its Docker API', async () => {
    const socket = shop.path('podman.sock');
    const args = ['--root', shop.path('podman-root'), '--runroot', shop.path('podman-run'), '--storage-driver', 'vfs'];
    const service = spawn('podman', [...args, 'system', 'service', '--time', '0', `unix://${socket}`], {
      stdio: 'ignore',
    });
    const engine = new DockerEngine({ host: `unix://${socket}` });
    try {
      for (let tries = 0; !existsSync(socket) && tries < 100; tries += 1) await sleep(100);
      const { result } = await load(engine, ['one'], 'podman');
      expect(result.failures.map(({ error }) => error.message)).toEqual([]);
      expect((await load(engine, ['one'], 'podman')).result.objects.map((object) => object.result)).toEqual([
        'present',
      ]);
    } finally {
      await engine.close();
      service.kill();
      await new Promise((resolve) => service.once('close', resolve));
    }
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function reachable(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    if (
      await fetch(`http://127.0.0.1:${port}/v2/`).then(
        (answer) => answer.ok,
        () => false,
      )
    )
      return;
    await sleep(100);
  }
  throw new Error('the registry did not start');
}
