import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { digestOf, makeImage, makeLayer, pushImage } from '../fixtures/registry-images.ts';
import { FaultyRegistry } from './faulty-registry.ts';
import { registryOrigin, rootDir, Workshop } from './workshop.ts';

const shop = new Workshop();
const registry = new FaultyRegistry(registryOrigin);
const large = makeLayer('large-for-bad-registries', 70_000_000);
const image = makeImage([large, makeLayer('small-for-bad-registries', 100_000)]);
let address = '';
let number = 0;

beforeAll(async () => {
  await pushImage(registryOrigin, 'bad-registries/one', '1', image);
  address = await registry.start();
});
beforeEach(() => {
  registry.faults = {};
  registry.asked.length = 0;
  registry.leaked.length = 0;
  registry.sentBytes = 0;
  registry.tokens = 0;
});
afterAll(async () => {
  await registry.stop();
  shop.close();
});

/** A package by way of the faulty registry; its only archive has to be what the good one gives. */
async function prepare(output = `out${number++}`): Promise<{ sum: string; sizeBytes: number }> {
  const { bill } = await shop.prepare(output, [], {
    rootDir,
    only: ['docker.io/bad-registries/one:1'],
    env: { CORTEX_REGISTRY_MIRRORS: `docker.io=http://${address}` },
  });
  const [file] = bill.images;
  const bytes = readFileSync(shop.path(`${output}/${file?.file}`));
  return { sum: digestOf(bytes), sizeBytes: bytes.length };
}

describe('a registry', () => {
  let good: { sum: string; sizeBytes: number };
  beforeAll(async () => {
    good = await prepare();
  });

  it('that gives ranges is asked for a large layer in several', async () => {
    expect(await prepare()).toEqual(good);
    const ranges = registry.asked.filter(({ digest }) => digest === large.digest);
    expect(ranges.length).toBeGreaterThan(2);
  });

  it('that ignores Range is read once, in one run', async () => {
    registry.faults = { ignoresRange: true };
    expect(await prepare()).toEqual(good);
    expect(registry.asked.filter(({ digest }) => digest === large.digest)).toHaveLength(1);
  });

  it('that cuts connections is taken up where it stopped', async () => {
    registry.faults = { cuts: { afterBytes: 5_000_000, times: 6 } };
    expect(await prepare()).toEqual(good);
    expect(registry.sentBytes).toBeLessThan(good.sizeBytes + 3_000_000);
  });

  it('that is busy is given the time that it asks for', async () => {
    registry.faults = { busyTimes: 2 };
    const started = Date.now();
    expect(await prepare()).toEqual(good);
    expect(Date.now() - started).toBeGreaterThan(900);
  });

  it('whose tokens run out in the middle is signed in to again', async () => {
    registry.faults = { tokenBlobs: 2 };
    expect(await prepare()).toEqual(good);
    expect(registry.tokens).toBeGreaterThan(1);
  });

  it('that sends blobs elsewhere gets no secret of ours carried there', async () => {
    registry.faults = { redirects: true, tokenBlobs: 1000 };
    expect(await prepare()).toEqual(good);
    expect(registry.leaked.length).toBeGreaterThan(1);
    expect(new Set(registry.leaked)).toEqual(new Set(['']));
  });

  it('that lies about a digest is asked once more, and then refused', async () => {
    registry.faults = { liesAbove: 1_000_000 };
    await expect(prepare('lies')).rejects.toMatchObject({ code: 'digest_mismatch' });
    registry.faults = {};
    expect(await prepare('lies')).toEqual(good);
  });
});
