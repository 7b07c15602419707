import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PackageReader } from '../../offline/package-reader.ts';
import { placeModel } from '../../offline/place-models.ts';
import { seededBytes } from '../fixtures/registry-images.ts';
import { Workshop } from './workshop.ts';

const shop = new Workshop();
const weights = Buffer.concat([Buffer.from('GGUF'), seededBytes('weights', 6_000_000)]);
const config = Buffer.from('{"model_type":"llama"}');
const revision = 'a'.repeat(40);
const sum = (algorithm: string, ...parts: (Buffer | string)[]) => {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};
let server: Server;
let endpoint = '';
/** What the hub sends in the place of the real bytes. */
const replaced = new Map<string, Buffer>();

beforeAll(async () => {
  const files: Record<string, Buffer> = { 'model.gguf': weights, 'config.json': config };
  server = createServer((request, response) => {
    const url = request.url ?? '';
    if (url.startsWith('/api/models/org/tiny/revision/')) {
      const siblings = [
        {
          rfilename: 'model.gguf',
          size: weights.length,
          blobId: 'b'.repeat(40),
          lfs: { sha256: sum('sha256', weights) },
        },
        { rfilename: 'config.json', size: config.length, blobId: sum('sha1', `blob ${config.length}\0`, config) },
      ];
      response.end(JSON.stringify({ sha: revision, cardData: { license: 'apache-2.0' }, siblings }));
      return;
    }
    const name = url.split(`/${revision}/`)[1] ?? '';
    const bytes = replaced.get(name) ?? files[name];
    const [, from = '', to = ''] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    if (bytes === undefined) response.writeHead(404).end();
    else if (from === '') response.end(bytes);
    else {
      const part = bytes.subarray(Number(from), Number(to) + 1);
      response
        .writeHead(206, { 'content-range': `bytes ${from}-${to}/${bytes.length}`, 'content-length': part.length })
        .end(part);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  shop.close();
});

const prepare = (output: string) =>
  shop.prepare(output, [], { models: ['hf:org/tiny@main'], env: { HF_ENDPOINT: endpoint } });

describe('a model of a hub', () => {
  it('comes at its commit, with licence and sums', async () => {
    const { bill } = await prepare('hub');
    expect(bill.models[0]).toMatchObject({ name: 'tiny', source: 'hf:org/tiny', revision, licence: 'apache-2.0' });
    expect(readFileSync(shop.path('hub/models/tiny/model.gguf')).equals(weights)).toBe(true);
    expect((await shop.verify('hub')).codes).toEqual([]);
  });

  it('has its repository, commit and licence beside it where it is placed', async () => {
    await prepare('placed');
    const reader = await PackageReader.open([shop.path('placed')]);
    try {
      const [model] = reader.bill.models;
      if (model === undefined) throw new Error('the package has no model');
      const options = { reader, modelsDir: shop.path('placed-models'), report: () => undefined };
      expect(await placeModel(model, options)).toBe('new');
      expect(await placeModel(model, options)).toBe('present');
      const written: unknown = JSON.parse(readFileSync(shop.path('placed-models/tiny/.cortex-source.json'), 'utf8'));
      expect(written).toEqual({ repository: 'org/tiny', revision, licence: 'apache-2.0' });
    } finally {
      await reader.close();
    }
  });

  it.each(['model.gguf', 'config.json'])('is refused where %s has the right size and other bytes', async (name) => {
    const original = name === 'config.json' ? config : weights;
    const other = Buffer.from(original);
    other[other.length - 2] = (other.at(-2) ?? 0) ^ 1;
    replaced.set(name, other);
    await expect(prepare(`altered-${name}`)).rejects.toMatchObject({ code: 'digest_mismatch' });
    replaced.clear();
  });
});
