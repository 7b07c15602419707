import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { startEngine } from '../ground/engine.ts';
import { createIsolatedNamespace } from '../ground/namespace.ts';

const run = promisify(execFile);

it('counts and captures what tries to leave an isolated namespace, and nothing else', async () => {
  const namespace = await createIsolatedNamespace(`ground${process.pid}`);
  try {
    await namespace.exec('ip', ['address']);
    expect(await namespace.escapedPackets()).toBe(0);
    await namespace.exec('bash', ['-c', 'echo x >/dev/udp/198.51.100.7/9']);
    expect(await namespace.escapedPackets()).toBe(1);
    await expect.poll(() => namespace.capturedPackets()).toContain('198.51.100.7.9');
  } finally {
    await namespace.destroy();
  }
});

it.each(['overlay2', 'containerd'] as const)(
  'runs a container on a 26.1 engine with the %s store in a namespace, and nothing leaves it',
  async (store) => {
    const namespace = await createIsolatedNamespace(`ground${process.pid}`);
    try {
      const engine = await startEngine({ name: `ground-${store}`, version: 'trixie', store, netns: namespace.name });
      try {
        const { stdout } = await run('docker', [
          '--host',
          engine.host,
          'info',
          '-f',
          '{{.ServerVersion}} {{json .DriverStatus}}',
        ]);
        expect(stdout).toMatch(/^26\./);
        expect(stdout.includes('io.containerd.snapshotter')).toBe(store === 'containerd');
        await run('bash', ['-c', 'set -o pipefail; docker save redis:7 | docker --host "$0" load', engine.host]);
        const ran = await run('docker', ['--host', engine.host, 'run', '--rm', 'redis:7', 'redis-server', '--version']);
        expect(ran.stdout).toContain('Redis server');
        expect(await namespace.escapedPackets(), await namespace.capturedPackets()).toBe(0);
      } finally {
        await engine.stop();
      }
    } finally {
      await namespace.destroy();
    }
  },
);

it('leaves no network of an engine behind', async () => {
  const engine = await startEngine({ name: 'networks', version: 'bookworm', store: 'overlay2' });
  const { stdout: id } = await run('docker', ['--host', engine.host, 'network', 'create', 'kept']);
  const bridge = () => run('ip', ['link', 'show', `br-${id.slice(0, 12)}`]);
  await expect(bridge()).resolves.toBeDefined();
  await engine.stop();
  await expect(bridge()).rejects.toThrow('does not exist');
});

it('runs two engines beside each other', async () => {
  const first = await startEngine({ name: 'first', version: 'bookworm', store: 'overlay2' });
  const second = await startEngine({ name: 'second', version: 'trixie', store: 'overlay2' });
  await Promise.all([first.stop(), second.stop()]);
  expect(first.host).not.toBe(second.host);
});
