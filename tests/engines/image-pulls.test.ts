import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { ImageGate } from '../../backend/src/models/image-gate.ts';
import type { PullProgress } from '../../contract/image-pulls.ts';
import { DockerEngine } from '../../docker/engine.ts';
import { makeImage, makeLayer, pushImage } from '../fixtures/registry-images.ts';
import { ThrottledRegistry } from '../fixtures/throttled-registry.ts';
import { type Engine, startEngine } from '../ground/engine.ts';

const run = promisify(execFile);
const registryOrigin = 'http://127.0.0.1:5055';
const layerBytes = [3_000_000, 2_000_000, 400_000];
const policy = {
  OFFLINE_MODE: false,
  OFFLINE_MODE_AUTO_DETECT: true,
  REQUIRE_IMAGE_PRECACHE: false,
  IMAGE_PULL_TIMEOUT: 60,
};

describe.each([
  ['20.10', 'bookworm', 'overlay2'],
  ['26.1', 'trixie', 'overlay2'],
  ['26.1', 'trixie', 'containerd'],
] as const)('on Docker %s (%s, %s)', (_number, version, store) => {
  const mark = randomBytes(4).toString('hex');
  let ground: Engine;
  let engine: DockerEngine;
  let registry: ThrottledRegistry;
  let image = '';
  let number = 0;

  const gateOf = (change: Partial<typeof policy> = {}) =>
    new ImageGate({
      images: engine.images,
      policy: { ...policy, ...change },
      archiveFile: () => 'the-image.tar',
      configured: [image],
    });

  beforeAll(async () => {
    ground = await startEngine({ name: `pulls-${version}-${store}`, version, store });
    engine = new DockerEngine({ host: ground.host });
    registry = new ThrottledRegistry(registryOrigin);
    await registry.listen();
  });

  beforeEach(async () => {
    number += 1;
    Object.assign(registry, {
      mode: 'open',
      bytesPerSecond: Number.POSITIVE_INFINITY,
      blobBytes: 0,
      manifestRequests: 0,
    });
    const repository = `pull-test/${mark}-${number}`;
    const layers = layerBytes.map((bytes, index) => makeLayer(`${mark}-${number}-${index}`, bytes));
    await pushImage(registryOrigin, repository, 'v1', makeImage(layers));
    image = `127.0.0.1:${registry.port}/${repository}:v1`;
  });

  afterEach(async () => {
    await engine.images.remove(image);
  });

  afterAll(async () => {
    await registry.close();
    await engine.close();
    await ground.stop();
  });

  describe('pulling an image from a registry through the Engine', () => {
    it('tells bytes, rate and time left, and is one pull for two who wait', async () => {
      registry.bytesPerSecond = 1_000_000;
      const gate = gateOf();
      const heard: PullProgress[] = [];
      const first = gate.fetch(image, { onProgress: (progress) => heard.push(progress) });
      const second = gate.fetch(image);
      await expect.poll(() => gate.pulls()[0]?.waiting, { interval: 20, timeout: 5_000 }).toBe(2);
      await expect.poll(() => gate.pulls()[0]?.seconds_left ?? 0, { interval: 50, timeout: 10_000 }).toBeGreaterThan(0);
      const [running] = gate.pulls();
      expect(running).toMatchObject({ image, phase: 'downloading', layers: 3 });
      // The containerd store never tells the size of a layer that comes in one piece.
      expect(running?.total_bytes).toBeGreaterThan(store === 'containerd' ? 5_000_000 : 5_400_000);
      // Three layers at once, each at a megabyte a second.
      expect(running?.bytes_per_second).toBeGreaterThan(500_000);
      expect(running?.bytes_per_second).toBeLessThan(4_000_000);
      await Promise.all([first, second]);
      expect(await gate.isCached(image)).toBe(true);
      expect(registry.blobBytes).toBeGreaterThan(5_400_000);
      expect(registry.blobBytes).toBeLessThan(5_500_000);
      const done = heard.map(({ done_bytes }) => done_bytes);
      expect(done).toEqual([...done].sort((a, b) => a - b));
      expect(heard.at(-1)).toMatchObject({ phase: 'unpacking', layers: 3 });
      expect(gate.pulls()).toEqual([]);
    });

    it('ends when the last who waits leaves: the Engine fetches no more, and nothing stays behind', async () => {
      registry.bytesPerSecond = 200_000;
      const gate = gateOf();
      const leaving = new AbortController();
      const wait = gate.fetch(image, { signal: leaving.signal });
      const outcome = expect(wait).rejects.toMatchObject({ code: 'image_pull_cancelled' });
      await expect.poll(() => gate.pulls()[0]?.done_bytes ?? 0, { timeout: 10_000 }).toBeGreaterThan(0);
      leaving.abort();
      await outcome;
      await sleep(500);
      const afterwards = registry.blobBytes;
      await sleep(1_500);
      expect(registry.blobBytes).toBe(afterwards);
      expect(afterwards).toBeLessThan(5_400_000);
      expect(await gate.isCached(image)).toBe(false);
      registry.bytesPerSecond = Number.POSITIVE_INFINITY;
      await gate.fetch(image);
      expect(await gate.isCached(image)).toBe(true);
    });

    it('ends at IMAGE_PULL_TIMEOUT and says so', async () => {
      registry.bytesPerSecond = 200_000;
      await expect(gateOf({ IMAGE_PULL_TIMEOUT: 2 }).fetch(image)).rejects.toMatchObject({
        code: 'image_pull_timeout',
        message: expect.stringContaining('IMAGE_PULL_TIMEOUT=2 s'),
      });
      expect(gateOf().pulls()).toEqual([]);
    });

    it('says in words that the registry wants a sign-in, lacks the image, or is away', async () => {
      const gate = gateOf({ OFFLINE_MODE_AUTO_DETECT: false });
      await expect(gate.fetch(image.replace(':v1', ':absent'))).rejects.toMatchObject({
        code: 'image_not_in_registry',
      });
      registry.mode = 'denies';
      await expect(gate.fetch(image)).rejects.toMatchObject({ code: 'image_pull_denied' });
      const away = image.replace(/:\d+\//, ':59/');
      await expect(gate.fetch(away)).rejects.toMatchObject({ code: 'image_pull_unreachable' });
    });
  });

  // The containerd store keeps what it downloads among all else.
  if (store !== 'containerd')
    it('says in words that the disk is full, and pulls once there is room', async () => {
      // Where the graphdriver store keeps a layer while it downloads.
      const downloads = join(ground.dir, 'data/tmp');
      await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', downloads]);
      try {
        await expect(gateOf().fetch(image)).rejects.toMatchObject({
          code: 'image_pull_no_space',
          message: expect.stringContaining('no space left on device'),
        });
      } finally {
        // The Engine closes its half-written layers a moment after it has answered.
        await vi.waitFor(() => run('umount', [downloads]), { timeout: 10_000, interval: 100 });
      }
      await gateOf().fetch(image);
      expect(await gateOf().isCached(image)).toBe(true);
    });

  describe('finding out whether the machine is offline', () => {
    it('a registry on the local network counts, also one that refuses or lacks the image', async () => {
      expect(await gateOf().check(image)).toBe(false);
      expect(await gateOf().check(image.replace(':v1', ':absent'))).toBe(false);
      registry.mode = 'denies';
      expect(await gateOf().check(image)).toBe(false);
    });

    it('one that does not listen is found away, and back again after it listens', async () => {
      const port = registry.port;
      const gate = gateOf();
      await registry.close();
      try {
        await expect(gate.check(image)).rejects.toMatchObject({
          code: 'image_not_available_offline',
          message: expect.stringMatching(/System is in OFFLINE MODE.*connection refused/),
        });
        expect(gate.status()).toMatchObject({ mode: 'detected', registries: [{ answers: false }] });
      } finally {
        registry = new ThrottledRegistry(registryOrigin);
        await registry.listen(port);
      }
      await expect.poll(() => gate.status().mode, { timeout: 20_000, interval: 500 }).toBe('off');
      expect(await gate.check(image)).toBe(false);
    });

    it('one that accepts and says nothing is given up within the limit', async () => {
      registry.mode = 'hangs';
      const startedAt = performance.now();
      await expect(gateOf().check(image)).rejects.toMatchObject({
        message: expect.stringContaining('no answer within 5 s'),
      });
      expect(performance.now() - startedAt).toBeLessThan(7_000);
    });

    it.each(['OFFLINE_MODE', 'REQUIRE_IMAGE_PRECACHE'] as const)(
      'with %s the registry hears nothing',
      async (setting) => {
        await expect(gateOf({ [setting]: true }).check(image)).rejects.toMatchObject({
          hint: expect.stringContaining('docker load -i cortex-offline-images/the-image.tar'),
        });
        expect(registry.manifestRequests).toBe(0);
      },
    );
  });
});
