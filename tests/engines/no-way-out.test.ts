import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelRecord } from '../../backend/src/db/model-records.ts';
import { EngineRoom } from '../../backend/src/models/engine-room/room.ts';
import { llamacppOptions } from '../../contract/engine-options/schema.ts';
import { DockerEngine } from '../../docker/engine.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';
import { type Engine, startEngine } from '../ground/engine.ts';
import { createIsolatedNamespace, type IsolatedNamespace } from '../ground/namespace.ts';

const run = promisify(execFile);
const image = 'ghcr.io/ggml-org/llama.cpp:server-cuda';
const hostPort = 18_080;

/** Run inside a container: who can be reached from there, as JSON. */
const tries = (gateway: string) => `
const net = require('node:net'), dgram = require('node:dgram'), dns = require('node:dns');
const tcp = (host, port) => new Promise((done) => {
  const socket = net.connect({ host, port, timeout: 1500 });
  socket.on('connect', () => { socket.destroy(); done(true); });
  socket.on('timeout', () => { socket.destroy(); done(false); });
  socket.on('error', () => done(false));
});
const udp = (host, port) => new Promise((done) => {
  const socket = dgram.createSocket('udp4');
  socket.on('error', () => { socket.close(); done(false); });
  socket.send('x', port, host, (error) => { setTimeout(() => { socket.close(); done(!error); }, 200); });
});
const name = (host) => new Promise((done) => dns.lookup(host, (error) => done(!error)));
(async () => console.log(JSON.stringify({
  host: await tcp('${gateway}', ${hostPort}),
  machine: await tcp('192.0.2.2', ${hostPort}),
  outside: await tcp('198.51.100.7', 443),
  metadata: await tcp('169.254.169.254', 80),
  datagram: await udp('198.51.100.7', 53),
  name: await name('stats.example.com'),
  resolver: await udp('127.0.0.11', 53),
})))();`;

describe.each([
  ['20.10', 'bookworm'],
  ['26.1', 'trixie'],
] as const)('from inside an engine on Docker %s', (_version, version) => {
  let namespace: IsolatedNamespace;
  let engine: Engine;
  let docker: DockerEngine;
  let root = '';
  const rooms: EngineRoom[] = [];
  const cli = async (...args: string[]) => (await run('docker', ['--host', engine.host, ...args])).stdout.trim();

  beforeAll(async () => {
    namespace = await createIsolatedNamespace(`out${process.pid}${version[0]}`);
    engine = await startEngine({ name: `out-${version}`, version, store: 'overlay2', netns: namespace.name });
    await run('bash', ['-c', 'set -o pipefail; docker save "$1" | docker --host "$0" load', engine.host, image]);
    docker = new DockerEngine({ host: engine.host });
    root = await mkdtemp(join(tmpdir(), 'cortex-out-'));
    await mkdir(join(root, 'tiny'));
    await writeTinyModel(join(root, 'tiny/tiny.gguf'));
    const listener = namespace.spawn(process.execPath, [
      '-e',
      `require('node:net').createServer((s) => s.destroy()).listen(${hostPort}, '0.0.0.0', () => console.log('ready'))`,
    ]);
    await new Promise((resolve) => listener.stdout?.once('data', resolve));
    stopListener = () => listener.kill();
  });
  let stopListener: () => void = () => undefined;

  afterAll(async () => {
    stopListener();
    await docker.close();
    await engine.stop();
    await namespace.destroy();
    await rm(root, { recursive: true, force: true });
  });

  /** Starts an engine on a network, and tells what it can reach. */
  async function reach(network: string): Promise<{ reached: unknown; id: string; address: string }> {
    const room = new EngineRoom({
      engine: docker,
      imageOf: () => image,
      models: { dir: root, dirHost: root },
      network,
    });
    rooms.push(room);
    await room.prepare();
    const record: ModelRecord = {
      id: `mdl_${randomBytes(4).toString('hex')}`,
      name: 'Tiny',
      served_name: 'tiny',
      engine: 'llamacpp',
      task: 'generate',
      folder: 'tiny',
      file: 'tiny.gguf',
      options: llamacppOptions.parse({ context_size: 512, threads: 1 }),
      wanted: 'running',
      version: 1,
      replicas: 1,
      createdAt: '2026-01-01T00:00:00.000Z',
    };
    const id = await room.create(record, await room.ask('llamacpp'));
    await room.start(record, id, 'the-key');
    const address = (await room.inspect(id))?.addresses[network] ?? '';
    const gateway = address.replace(/\d+$/, '1');
    return { reached: JSON.parse(await cli('exec', id, 'node', '-e', tries(gateway))), id, address };
  }

  // A datagram may be handed to the kernel (20.10 gives a route that leads nowhere): the counter tells that it went no further.
  const nothing = { outside: false, metadata: false, name: false };

  it('a container on an ordinary network reaches the host and sends packets out, so this can be seen', async () => {
    const said = await cli('run', '--rm', '--entrypoint', 'node', image, '-e', tries('192.0.2.2'));
    expect(JSON.parse(said)).toMatchObject({ host: true, machine: true, datagram: true });
    expect(await namespace.escapedPackets()).toBeGreaterThan(0);
  });

  it('beside Cortex in a container nothing is reached: not the host, not the outside, no name; 0 packets leave', async () => {
    const before = await namespace.escapedPackets();
    await docker.ensureNetwork('engines-closed', { internal: true, hostAddress: false });
    const { reached, address } = await reach('engines-closed');
    expect(reached).toMatchObject({ ...nothing, host: false, machine: false });
    expect((await namespace.escapedPackets()) - before, await namespace.capturedPackets()).toBe(0);
    // And Cortex, on the same network, reaches the engine.
    const ask = `fetch('http://${address}:8080/health').then((a) => console.log(a.status), () => console.log('none'))`;
    const peer = () => cli('run', '--rm', '--network', 'engines-closed', '--entrypoint', 'node', image, '-e', ask);
    await expect.poll(peer, { timeout: 30_000, interval: 1_000 }).toMatch(/200|503/);
  });

  it('beside Cortex on the host nothing but the host itself answers; 0 packets leave', async () => {
    const before = await namespace.escapedPackets();
    const { reached } = await reach('engines-open');
    expect(reached).toMatchObject({ ...nothing, host: true });
    expect((await namespace.escapedPackets()) - before, await namespace.capturedPackets()).toBe(0);
  });
});
