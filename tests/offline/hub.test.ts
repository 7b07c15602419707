import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createSocketServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { CortexError } from '../../contract/errors.ts';
import { HubClient, type HubFile, type HubModel, isHubPath, parseHubReference } from '../../offline/hub.ts';
import { pauseMs } from '../../offline/hub-transport.ts';

const token = 'hf_a-secret-that-stays-here';
const commit = 'c0ffee'.padEnd(40, '0');
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const gitBlobId = (bytes: Buffer) => createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
const noise = (length: number) => Buffer.from(Array.from({ length }, (_, at) => Math.imul(at, 2_654_435_761) >>> 24));

const weights = noise(3_000_000);
const config = Buffer.from('{"architectures":["Tiny"]}');

interface Faults {
  /** Answers every Range with the whole. */
  ignoresRange?: boolean;
  /** Cuts the connection after so many bytes of a file, so many times. */
  cuts?: { afterBytes: number; times: number };
  /** So many requests are answered like this first. */
  refuses?: { status: number; times: number; retryAfter?: string; body?: string; headers?: Record<string, string> };
  /** So many downloads come with a byte turned over. */
  lies?: number;
  /** X-Linked-ETag and X-Linked-Size, in the place of the right ones; null for none at all. */
  linked?: { etag: string; size: string } | null;
  /** Sends a part that begins elsewhere. */
  shifts?: boolean;
  /** Where weights are, in the place of the CDN. */
  location?: string;
  compresses?: boolean;
  siblings?: unknown[];
}

/** A hub as huggingface.co is one: small files come from it, weights from a second origin by way of a redirect. */
class LoopbackHub {
  faults: Faults = {};
  readonly asked: { at: 'hub' | 'cdn'; url: string; range: string | undefined; authorization: string | undefined }[] =
    [];
  readonly #hub = createServer((request, response) => void this.#answerHub(request, response));
  readonly #cdn = createServer((request, response) => void this.#answerCdn(request, response));

  async start(): Promise<void> {
    for (const server of [this.#hub, this.#cdn]) await once(server.listen(0, '127.0.0.1'), 'listening');
  }

  async stop(): Promise<void> {
    for (const server of [this.#hub, this.#cdn]) {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    }
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#hub.address() as AddressInfo).port}`;
  }

  get cdn(): string {
    return `http://127.0.0.1:${(this.#cdn.address() as AddressInfo).port}`;
  }

  ofCdn() {
    return this.asked.filter(({ at }) => at === 'cdn');
  }

  #note(at: 'hub' | 'cdn', { url = '', headers }: IncomingMessage): void {
    this.asked.push({ at, url, range: headers.range, authorization: headers.authorization });
  }

  #answerHub(request: IncomingMessage, response: ServerResponse): void {
    this.#note('hub', request);
    const { refuses } = this.faults;
    if (refuses !== undefined && refuses.times > 0) {
      refuses.times -= 1;
      const patience = refuses.retryAfter === undefined ? {} : { 'retry-after': refuses.retryAfter };
      response.writeHead(refuses.status, { ...patience, ...refuses.headers }).end(refuses.body ?? 'no');
      return;
    }
    const url = request.url ?? '';
    if (url === '/api/models/org/tiny/revision/main?blobs=true') response.end(JSON.stringify(this.#listing()));
    else if (url === `/org/tiny/resolve/${commit}/config.json`) this.#send(request, response, config);
    else if (url === `/org/tiny/resolve/${commit}/parts/weights%20%231.gguf`) {
      const right = { etag: sha256(weights), size: String(weights.length) };
      const { linked = right, location = `${this.cdn}/signed?for=${commit}` } = this.faults;
      const headers = linked === null ? {} : { 'x-linked-etag': `"${linked.etag}"`, 'x-linked-size': linked.size };
      response.writeHead(302, { location, ...headers }).end('Found');
    } else response.writeHead(404, { 'x-error-message': 'Repository not found' }).end();
  }

  #answerCdn(request: IncomingMessage, response: ServerResponse): void {
    this.#note('cdn', request);
    this.#send(request, response, weights);
  }

  #listing() {
    const { siblings } = this.faults;
    const files = [
      { rfilename: 'config.json', size: config.length, blobId: gitBlobId(config) },
      {
        rfilename: 'parts/weights #1.gguf',
        size: weights.length,
        blobId: gitBlobId(Buffer.from('the pointer')),
        lfs: { sha256: sha256(weights), size: weights.length, pointerSize: 135 },
      },
    ];
    return { id: 'org/tiny', sha: commit, cardData: { license: 'apache-2.0' }, siblings: siblings ?? files };
  }

  #send(request: IncomingMessage, response: ServerResponse, file: Buffer): void {
    const { faults } = this;
    const [, first] = /^bytes=(\d+)-/.exec(request.headers.range ?? '') ?? [];
    const isPart = first !== undefined && !faults.ignoresRange;
    const from = isPart ? Number(first) : 0;
    const bytes = Buffer.from(file.subarray(from));
    if ((faults.lies ?? 0) > 0) {
      faults.lies = (faults.lies ?? 0) - 1;
      bytes[bytes.length - 9] = (bytes.at(-9) ?? 0) ^ 0xff;
    }
    response.writeHead(isPart ? 206 : 200, {
      'content-length': bytes.length,
      // The ETag of the real CDN is another 64 digits than the file's SHA-256.
      etag: `"${'ab'.repeat(32)}"`,
      ...(isPart
        ? { 'content-range': `bytes ${from + (faults.shifts ? 1 : 0)}-${file.length - 1}/${file.length}` }
        : {}),
      ...(faults.compresses ? { 'content-encoding': 'gzip' } : {}),
    });
    const { cuts } = faults;
    if (cuts === undefined || cuts.times === 0) return void response.end(bytes);
    cuts.times -= 1;
    response.write(bytes.subarray(0, cuts.afterBytes), () => response.destroy());
  }
}

const hub = new LoopbackHub();
let dir = '';
let client: HubClient;
let model: HubModel;
let small: HubFile;
let large: HubFile;

beforeAll(async () => {
  vi.stubEnv('NO_PROXY', '127.0.0.1');
  vi.stubEnv('no_proxy', '127.0.0.1');
  await hub.start();
});
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'cortex-hub-'));
  hub.faults = {};
  client = new HubClient({ endpoint: hub.endpoint, token });
  model = await client.resolve('org/tiny', 'main');
  small = fileOf('config.json');
  large = fileOf('parts/weights #1.gguf');
  hub.asked.length = 0;
});
afterEach(async () => {
  await client.close();
  rmSync(dir, { recursive: true });
});
afterAll(async () => {
  await hub.stop();
  vi.unstubAllEnvs();
});

function fileOf(path: string): HubFile {
  const found = model.files.find((file) => file.path === path);
  if (found === undefined) throw new Error(`the hub has no ${path}`);
  return found;
}

/** Downloads and tells the bytes that were reported, and the hash of what is on the disk. */
async function download(file: HubFile, { by = client, target = join(dir, 'file') } = {}) {
  let told = 0;
  const result = await by.download(model, file, target, (bytes) => {
    told += bytes;
  });
  return { sha256: result.sha256, told, onDisk: sha256(readFileSync(target)) };
}

async function errorOf(work: Promise<unknown>): Promise<CortexError> {
  const error = await work.then(
    () => null,
    (cause: unknown) => cause,
  );
  if (error instanceof CortexError) return error;
  throw new Error(`not a CortexError: ${inspect(error)}`);
}

describe('a reference to a model', () => {
  it('names a model, and a revision or main', () => {
    expect(parseHubReference('org/name')).toEqual({ name: 'org/name', revision: 'main' });
    expect(parseHubReference('org/name@refs/pr/1')).toEqual({ name: 'org/name', revision: 'refs/pr/1' });
  });

  it.each([
    '',
    '@main',
    'org/',
    '/name',
    '../name',
    'org/..',
    'a/b/c',
    'a/b@',
    'a/b@../x',
    'a/b@c@d',
    'a b/c',
    'a/b\n',
  ])('is refused as %j', (text) => {
    expect(() => parseHubReference(text)).toThrow(CortexError);
  });

  it('that is well-formed is taken apart without loss', () => {
    const part = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9.-]{0,30}$/);
    fc.assert(
      fc.property(part, part, fc.stringMatching(/^[a-z0-9][a-z0-9/-]{0,30}$/), (org, name, revision) => {
        expect(parseHubReference(`${org}/${name}@${revision}`)).toEqual({ name: `${org}/${name}`, revision });
      }),
    );
  });

  it('whatever it holds, is refused or leads to an address below the model alone', () => {
    const hostile = fc
      .array(fc.constantFrom('a', 'org', '/', '..', '.', '@', '\\', '\0', '\n', '%2e', '?', '#', '~', 'main'))
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), hostile), (text) => {
        try {
          const { name, revision } = parseHubReference(text);
          const path = `/api/models/${name}/revision/${encodeURIComponent(revision)}`;
          expect(new URL(path, 'http://hub').href).toBe(`http://hub${path}`);
          expect(name.split('/').length).toBeLessThanOrEqual(2);
        } catch (error) {
          if (!(error instanceof CortexError)) throw error;
          expect(error.code).toBe('option_invalid');
          expect(error.message).not.toMatch(/\p{Cc}/u);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

const hostilePaths = [
  '',
  '/etc/passwd',
  '../up',
  'a/../../up',
  'a/..',
  '..',
  './a',
  'a//b',
  'a/',
  'a\\..\\b',
  'a\0b',
  'a\nb',
  'a\u0085b',
  'a\ud800b',
  'a'.repeat(513),
];

describe('a path that a hub tells', () => {
  it.each(hostilePaths)('is refused as %j before anything is downloaded', async (path) => {
    expect(isHubPath(path)).toBe(false);
    hub.faults = { siblings: [{ rfilename: path, size: 1, blobId: gitBlobId(config) }] };
    expect((await errorOf(client.resolve('org/tiny', 'main'))).code).toBe('hub_refused');
    expect((await errorOf(download({ ...small, path }))).code).toBe('hub_refused');
    expect(hub.asked.map(({ url }) => url)).toEqual(['/api/models/org/tiny/revision/main?blobs=true']);
    expect(readdirSync(dir)).toEqual([]);
  });

  it('whatever it holds, is refused or stays in its folder under that very name', () => {
    const hostile = fc
      .array(fc.constantFrom('a', '/', '..', '.', '\\', '\0', '\u001b', '~', ' ', 'é', '\ud800', '%2f'))
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), hostile), (path) => {
        if (!isHubPath(path)) return;
        expect(relative('/models', resolve('/models', path))).toBe(path);
        expect(path).not.toMatch(/[\p{Cc}\\]/u);
        expect(() => encodeURIComponent(path)).not.toThrow();
      }),
      { numRuns: 1000 },
    );
  });

  it('may be of many folders, spaces and letters of any script', () => {
    for (const path of ['a', 'a/b/c.gguf', '.gitattributes', '...', 'mit Leerzeichen/größe.bin', 'a'.repeat(512)])
      expect(isHubPath(path)).toBe(true);
  });
});

describe('a model', () => {
  it('is known by its commit, with the hash of every file', () => {
    expect(model).toEqual({
      name: 'org/tiny',
      revision: commit,
      licence: 'apache-2.0',
      files: [
        { path: 'config.json', sizeBytes: config.length, sha256: null, gitBlobId: gitBlobId(config) },
        { path: 'parts/weights #1.gguf', sizeBytes: weights.length, sha256: sha256(weights), gitBlobId: null },
      ],
    });
  });

  it('that the hub does not have is an error with what the hub says', async () => {
    const error = await errorOf(client.resolve('org/other', 'main'));
    expect(error).toMatchObject({ code: 'hub_refused', message: expect.stringContaining('Repository not found') });
  });

  it('of a hostile name is refused without asking the hub', async () => {
    expect((await errorOf(client.resolve('../../admin', 'main'))).code).toBe('option_invalid');
    expect(hub.asked).toEqual([]);
  });

  it.each([401, 403])('that is gated (%i) is an error that says how to get access', async (status) => {
    hub.faults = { refuses: { status, times: 1, headers: { 'x-error-message': 'Access to org/tiny is restricted' } } };
    const error = await errorOf(client.resolve('org/tiny', 'main'));
    expect(error.message).toContain('is restricted');
    expect(error.hint).toMatch(/licence.*HF_TOKEN/);
    expect(hub.asked).toHaveLength(1);
  });

  it('whose listing is not one is an error', async () => {
    hub.faults = { refuses: { status: 200, times: 1, body: '<html>Please sign in to the guest network</html>' } };
    expect((await errorOf(client.resolve('org/tiny', 'main'))).code).toBe('hub_refused');
  });
});

describe('a download', () => {
  it('of a small file is held to its git blob, and of weights to their SHA-256', async () => {
    expect(await download(small)).toEqual({ sha256: sha256(config), told: config.length, onDisk: sha256(config) });
    expect(await download(large)).toEqual({ sha256: sha256(weights), told: weights.length, onDisk: sha256(weights) });
    expect(readdirSync(dir)).toEqual(['file']);
  });

  it('of an empty file makes one', async () => {
    const empty = { ...small, sizeBytes: 0, gitBlobId: gitBlobId(Buffer.alloc(0)) };
    expect((await download(empty)).onDisk).toBe(sha256(Buffer.alloc(0)));
  });

  it('makes the folders of its target', async () => {
    const target = join(dir, 'a/b/config.json');
    expect((await download(small, { target })).onDisk).toBe(sha256(config));
  });

  it('goes on where the connection was cut', async () => {
    hub.faults = { cuts: { afterBytes: 1_000_000, times: 2 } };
    expect(await download(large)).toMatchObject({ told: weights.length, onDisk: sha256(weights) });
    const starts = hub.ofCdn().map(({ range }) => Number(/\d+/.exec(range ?? '')?.[0]));
    expect(starts).toHaveLength(3);
    expect(starts[0]).toBe(0);
    expect(starts[1]).toBeGreaterThan(0);
    expect(starts[2]).toBeGreaterThan(starts[1] ?? 0);
  });

  it('goes on where an earlier process stopped, and counts what is kept once', async () => {
    writeFileSync(join(dir, 'file.partial'), weights.subarray(0, 2_000_000));
    const told: number[] = [];
    await client.download(model, large, join(dir, 'file'), (bytes) => void told.push(bytes));
    expect(told[0]).toBe(2_000_000);
    expect(told.reduce((sum, bytes) => sum + bytes)).toBe(weights.length);
    expect(hub.ofCdn().map(({ range }) => range)).toEqual([`bytes=2000000-${weights.length - 1}`]);
    expect(sha256(readFileSync(join(dir, 'file')))).toBe(sha256(weights));
  });

  it('that was complete but for its name asks the hub for nothing', async () => {
    writeFileSync(join(dir, 'file.partial'), weights);
    expect(await download(large)).toMatchObject({ told: weights.length });
    expect(hub.asked).toEqual([]);
  });

  it('that is stopped keeps what it has, and the next one goes on from there', async () => {
    const stop = new AbortController();
    const stoppable = new HubClient({ endpoint: hub.endpoint, token, signal: stop.signal });
    const work = stoppable.download(model, large, join(dir, 'file'), () => stop.abort());
    expect((await errorOf(work)).code).toBe('interrupted');
    await stoppable.close();
    const kept = readFileSync(join(dir, 'file.partial')).length;
    expect(kept).toBeGreaterThan(0);
    hub.asked.length = 0;
    expect((await download(large)).onDisk).toBe(sha256(weights));
    expect(hub.ofCdn()[0]?.range).toBe(`bytes=${kept}-${weights.length - 1}`);
  });

  it('works with a hub that ignores Range', async () => {
    writeFileSync(join(dir, 'file.partial'), weights.subarray(0, 2_000_000));
    hub.faults = { ignoresRange: true, cuts: { afterBytes: 2_500_000, times: 1 } };
    expect(await download(large)).toMatchObject({ told: weights.length, onDisk: sha256(weights) });
  });

  it('throws away a partial file that is longer than the file', async () => {
    writeFileSync(join(dir, 'file.partial'), Buffer.alloc(weights.length + 1));
    expect(await download(large)).toMatchObject({ told: weights.length, onDisk: sha256(weights) });
  });

  it('does not write through a link that lies in the place of its partial file', async () => {
    const victim = join(dir, 'victim');
    writeFileSync(victim, 'mine');
    symlinkSync(victim, join(dir, 'file.partial'));
    await expect(download(large)).rejects.toThrow();
    expect(readFileSync(victim, 'utf8')).toBe('mine');
  });

  it('holds no more in memory for a large file than for a small one', async () => {
    const block = noise(1024 * 1024);
    const blocks = 256;
    const hash = createHash('sha256');
    for (let count = 0; count < blocks; count += 1) hash.update(block);
    const huge = { path: 'huge', sizeBytes: blocks * block.length, sha256: hash.digest('hex'), gitBlobId: null };
    const server = createServer((_request, response) => {
      response.writeHead(200, { 'content-length': huge.sizeBytes });
      const send = async () => {
        for (let count = 0; count < blocks; count += 1)
          if (!response.write(block)) await once(response, 'drain').catch(() => undefined);
        response.end();
      };
      void send();
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const own = new HubClient({ endpoint });
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    await own.download(model, huge, join(dir, 'huge'), () => {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    });
    await own.close();
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
    expect(most).toBeLessThan(huge.sizeBytes / 2);
  });
});

describe('bytes that are not those of the file', () => {
  it('fail a download of the right size, which leaves nothing', async () => {
    hub.faults = { lies: 1 };
    const error = await errorOf(download(large));
    expect(error).toMatchObject({ code: 'digest_mismatch', message: expect.stringContaining(sha256(weights)) });
    expect(hub.ofCdn()).toHaveLength(1);
    expect(readdirSync(dir)).toEqual([]);
  });

  it('fail a small file by its git blob', async () => {
    hub.faults = { lies: 1 };
    expect((await errorOf(download(small))).message).toContain(`git:${gitBlobId(config)}`);
    expect(existsSync(join(dir, 'file'))).toBe(false);
  });

  it('that an earlier process left are fetched anew', async () => {
    writeFileSync(join(dir, 'file.partial'), Buffer.alloc(1_000_000));
    expect((await download(large)).onDisk).toBe(sha256(weights));
    expect(hub.ofCdn().map(({ range }) => range?.split('-')[0])).toEqual(['bytes=1000000', 'bytes=0']);
  });

  it('after a cut are fetched anew', async () => {
    hub.faults = { cuts: { afterBytes: 1_000_000, times: 1 }, lies: 2 };
    expect((await download(large)).onDisk).toBe(sha256(weights));
    expect(hub.ofCdn()).toHaveLength(3);
  });

  it('are fetched anew once, not for ever', async () => {
    writeFileSync(join(dir, 'file.partial'), weights.subarray(0, 1_000_000));
    hub.faults = { lies: 99 };
    expect((await errorOf(download(large))).code).toBe('digest_mismatch');
    expect(hub.ofCdn()).toHaveLength(2);
    expect(readdirSync(dir)).toEqual([]);
  });

  it.each<[string, Faults, string]>([
    ['the size that the hub tells', { linked: { etag: sha256(weights), size: '12' } }, 'hub_refused'],
    ['the hash that the hub tells', { linked: { etag: sha256(config), size: '3000000' } }, 'digest_mismatch'],
    ['the part that comes', { shifts: true }, 'hub_refused'],
    ['their encoding', { compresses: true }, 'hub_refused'],
  ])('are known by %s before one of them is written', async (_what, faults, code) => {
    hub.faults = faults;
    let told = 0;
    const work = client.download(model, large, join(dir, 'file'), (bytes) => {
      told += bytes;
    });
    expect((await errorOf(work)).code).toBe(code);
    expect(told).toBe(0);
  });

  it.each([true, false])('are known by the size that the CDN tells (Range ignored: %s)', async (ignoresRange) => {
    hub.faults = { linked: null, ignoresRange };
    let told = 0;
    const work = client.download(model, { ...large, sizeBytes: 2_999_999 }, join(dir, 'file'), (bytes) => {
      told += bytes;
    });
    expect((await errorOf(work)).message).toContain('3000000 bytes instead of 2999999');
    expect(told).toBe(0);
  });
});

describe('a hub that is busy', () => {
  it.each([429, 500, 503])('with %i is asked again', async (status) => {
    hub.faults = { refuses: { status, times: 4, retryAfter: '0' } };
    expect((await download(small)).onDisk).toBe(sha256(config));
  });

  it('is given the time that it asks for', async () => {
    hub.faults = { refuses: { status: 429, times: 1, retryAfter: '1' } };
    const started = performance.now();
    await download(small);
    expect(performance.now() - started).toBeGreaterThan(950);
  });

  it('for ever is given up after five tries', async () => {
    hub.faults = { refuses: { status: 503, times: 99, retryAfter: '0', body: 'down for\u001b[31m repairs' } };
    const error = await errorOf(download(small));
    expect(error.code).toBe('hub_refused');
    expect(error.message).toMatch(/503.*down for \[31m repairs/);
    expect(hub.asked).toHaveLength(5);
  });

  it('does not keep a command from being stopped', async () => {
    hub.faults = { refuses: { status: 429, times: 99, retryAfter: '30' } };
    const signal = AbortSignal.timeout(200);
    const stoppable = new HubClient({ endpoint: hub.endpoint, signal });
    expect((await errorOf(download(small, { by: stoppable }))).code).toBe('interrupted');
    await stoppable.close();
  });

  it('may ask for seconds or a date, and gets half a minute at most', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    expect(pauseMs(1, '7', now)).toBe(7000);
    expect(pauseMs(1, 'Thu, 01 Jan 2026 00:00:09 GMT', now)).toBe(9000);
    expect(pauseMs(1, 'Thu, 01 Jan 2015 00:00:00 GMT', now)).toBe(0);
    expect(pauseMs(1, '86400', now)).toBe(30_000);
    expect(pauseMs(1, 'Infinity', now)).toBe(30_000);
    expect(pauseMs(3, 'soon', now)).toBe(2000);
    expect(pauseMs(3, undefined, now)).toBe(2000);
    expect(pauseMs(60, '', now)).toBe(30_000);
  });
});

describe('the token', () => {
  it('is for the hub, and not for where it keeps its weights', async () => {
    await download(large);
    expect(hub.asked.map(({ at, authorization }) => [at, authorization])).toEqual([
      ['hub', `Bearer ${token}`],
      ['cdn', undefined],
    ]);
  });

  it('is not given back to the hub by way of another host', async () => {
    const elsewhere = createServer((_request, response) => {
      response.writeHead(302, { location: `${hub.endpoint}/org/tiny/resolve/${commit}/config.json` }).end();
    });
    await once(elsewhere.listen(0, '127.0.0.1'), 'listening');
    hub.faults = { linked: null, location: `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/` };
    const error = await errorOf(download(large));
    elsewhere.closeAllConnections();
    await new Promise((done) => elsewhere.close(done));
    expect(error.code).toBe('hub_refused');
    expect(hub.asked.map(({ authorization }) => authorization)).toEqual([`Bearer ${token}`, undefined]);
  });

  it('stands in no error, even if the hub repeats it', async () => {
    for (const refuses of [
      { status: 403, times: 1, body: `${'x'.repeat(290)}${token} is no good` },
      { status: 400, times: 1, headers: { 'x-error-message': `Bearer ${token}` } },
    ]) {
      hub.faults = { refuses };
      expect(inspect(await errorOf(download(small)), { depth: 9 })).not.toContain(token.slice(0, 8));
    }
  });

  it('stands in no error of a hub that is not there, nor does the password of its address', async () => {
    const gone = createSocketServer();
    await once(gone.listen(0, '127.0.0.1'), 'listening');
    const { port } = gone.address() as AddressInfo;
    await new Promise((done) => gone.close(done));
    const lost = new HubClient({ endpoint: `http://me:pass-word@127.0.0.1:${port}`, token });
    const error = await errorOf(lost.resolve('org/tiny', 'main'));
    await lost.close();
    expect(error.code).toBe('hub_unreachable');
    expect(error.message).toContain(`http://127.0.0.1:${port}`);
    expect(inspect(error, { depth: 9 })).not.toMatch(/hf_a-secret|pass-word/);
  });

  it('with a line end around it works, and one that is no token is refused without being shown', async () => {
    const trimmed = new HubClient({ endpoint: hub.endpoint, token: `${token}\n` });
    await download(small, { by: trimmed });
    await trimmed.close();
    expect(hub.asked[0]?.authorization).toBe(`Bearer ${token}`);
    const broken = new HubClient({ endpoint: hub.endpoint, token: 'two\r\nx-lines: yes' });
    const error = await errorOf(broken.resolve('org/tiny', 'main'));
    await broken.close();
    expect(error.code).toBe('setting_invalid');
    expect(inspect(error)).not.toContain('x-lines');
  });
});

describe('an address', () => {
  it.each(['not an address', 'ftp://hub', 'file:///etc'])('of a hub that is none (%s) is refused', async (endpoint) => {
    const wrong = new HubClient({ endpoint });
    expect((await errorOf(wrong.resolve('org/tiny', 'main'))).code).toBe('setting_invalid');
    await wrong.close();
  });

  it.each(['file:///etc/passwd', 'http://[', 'gopher://x'])(
    'that weights are sent to (%s) is refused',
    async (location) => {
      hub.faults = { location };
      expect((await errorOf(download(large))).message).toContain('no http(s) address');
      expect(hub.asked).toHaveLength(1);
    },
  );

  it('that leads round in a circle is left', async () => {
    hub.faults = { location: `/org/tiny/resolve/${commit}/parts/weights%20%231.gguf` };
    expect((await errorOf(download(large))).code).toBe('hub_refused');
    expect(hub.asked).toHaveLength(6);
  });
});
