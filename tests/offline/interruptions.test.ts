import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runBytes } from '../../offline/fetch.ts';
import { makeImage, makeLayer, pushImage } from '../fixtures/registry-images.ts';
import { FaultyRegistry } from './faulty-registry.ts';
import { registryOrigin, rootDir, Workshop } from './workshop.ts';

const kills = process.env.LONG ? 50 : 8;
const shop = new Workshop();
const registry = new FaultyRegistry(registryOrigin);
const layers = ['one', 'two', 'three'].map((name) => makeLayer(`interrupted-${name}`, 60_000_000));
const image = makeImage(layers);
const totalBytes = layers.reduce((total, { bytes }) => total + bytes.length, 0);
const streams = 2;
let address = '';

beforeAll(async () => {
  await pushImage(registryOrigin, 'interruptions/one', '1', image);
  address = await registry.start();
});
afterAll(async () => {
  await registry.stop();
  shop.close();
});

/** The real command in a process of its own. */
function command(output: string) {
  const args = [
    'offline',
    'prepare',
    '--only',
    'docker.io/interruptions/one:1',
    '--unsigned',
    '--output',
    shop.path(output),
  ];
  return spawn(
    process.execPath,
    [join(rootDir, 'dist/cli/main.js'), ...args, '--lock', shop.path('lock.json'), '--streams', String(streams)],
    {
      env: {
        ...process.env,
        CORTEX_REGISTRY_MIRRORS: `docker.io=http://${address}`,
        CORTEX_PACKAGE_DIR: shop.path('receipts'),
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
}

async function ended(child: ReturnType<typeof command>): Promise<{ code: number | null; errors: string }> {
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString('utf8')));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, errors };
}

describe('prepare', () => {
  it(`goes on after kill -9 at ${kills} random moments, and fetches at most two runs of each stream again`, async () => {
    const whole = await ended(command('undisturbed'));
    expect(whole).toMatchObject({ code: 0 });
    const expected = readFileSync(shop.path('undisturbed/interruptions-one-1.tar'));
    const started = Date.now();
    rmSync(shop.path('undisturbed'), { recursive: true });
    await ended(command('undisturbed'));
    const usualMs = Date.now() - started;
    for (let round = 0; round < kills; round += 1) {
      rmSync(shop.path('killed'), { recursive: true, force: true });
      rmSync(shop.path('.killed.prepare'), { recursive: true, force: true });
      registry.sentBytes = 0;
      const child = command('killed');
      const gone = ended(child);
      await sleep(Math.random() * usualMs);
      child.kill('SIGKILL');
      await gone;
      const before = registry.sentBytes;
      const { code, errors } = await ended(command('killed'));
      expect({ code, errors }).toMatchObject({ code: 0 });
      expect(readFileSync(shop.path('killed/interruptions-one-1.tar')).equals(expected)).toBe(true);
      expect((await shop.verify('killed')).codes).toEqual([]);
      // What was on its way counts once for each stream; 64 MiB is what the package's documents promise.
      const slack = streams * (runBytes + 64 * 1024 * 1024) + 1_000_000;
      expect(registry.sentBytes - before).toBeLessThanOrEqual(Math.max(0, totalBytes - before) + slack);
    }
  }, 900_000);

  it('stops on Ctrl-C with its exit code, and the same command goes on', async () => {
    registry.faults = {};
    const child = command('paused');
    const gone = ended(child);
    while (!existsSync(shop.path('paused/interruptions-one-1.tar.partial'))) await sleep(5);
    child.kill('SIGINT');
    expect(await gone).toMatchObject({ code: 130, errors: expect.stringContaining('it goes on where it stopped') });
    expect(await ended(command('paused'))).toMatchObject({ code: 0 });
    expect((await shop.verify('paused')).codes).toEqual([]);
  });
});
