import { Readable } from 'node:stream';
import { type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';
import type { BillImage, BlobPlace } from './bill.ts';
import type { Report } from './events.ts';
import { parseImageReference } from './image-reference.ts';
import type { PackageReader } from './package-reader.ts';
import { registryCredentials } from './registry-auth.ts';
import { readBlob } from './registry-server.ts';

export interface PushOptions {
  readonly reader: PackageReader;
  /** `localhost:5000` */
  readonly registry: string;
  /** `ghcr.io/ggml-org/llama.cpp` → `llamacpp`. Others keep their repository, without the registry's name. */
  readonly renames: ReadonlyMap<string, string>;
  /** Plain HTTP also where it is not loopback. */
  readonly insecure?: boolean;
  readonly report: Report;
  readonly signal?: AbortSignal | undefined;
}

export interface PushedImage {
  readonly image: BillImage;
  /** The name that other machines use. */
  readonly name: string;
}

const descriptors = z.object({ layers: z.array(z.object({ digest: z.string() })).max(1000) });

/**
 * Puts every image of the package into a registry, straight from the package: no Engine, no tag, no second copy. A blob that
 * the registry has already does not travel.
 * @throws CortexError registry_unreachable, registry_refused, package_file_*
 */
export async function pushPackage(options: PushOptions): Promise<PushedImage[]> {
  const { reader, registry, report, signal } = options;
  const target = new PushTarget(options);
  const pushed: PushedImage[] = [];
  report({ kind: 'started', work: 'push', dir: registry });
  const totalBytes = reader.bill.images.reduce((total, image) => total + image.sizeBytes, 0);
  report({ kind: 'planned', totalBytes, presentBytes: 0 });
  try {
    for (const image of reader.bill.images) {
      if (signal?.aborted) throw new CortexError('interrupted', {});
      const name = nameIn(registry, image, options.renames);
      const { repository, tag } = parseImageReference(name);
      const manifest = await readBlob(reader, image.manifest_digest);
      const { layers } = descriptors.parse(JSON.parse(manifest.toString('utf8')));
      let sent = 0;
      for (const digest of new Set([image.config_digest, ...layers.map((layer) => layer.digest)])) {
        const place = reader.place(digest);
        if (place === null)
          throw new CortexError('base_missing', { base: 'its base package', lacking: `a layer of ${image.reference}` });
        if (await target.blob(repository, place, (bytes) => report({ kind: 'bytes', file: image.file, bytes })))
          sent += 1;
      }
      await target.manifest(repository, tag, manifest, image);
      report({ kind: 'file-done', file: name, sizeBytes: image.sizeBytes, note: sent > 0 ? 'new' : 'present' });
      pushed.push({ image, name });
    }
    report({ kind: 'finished', work: 'push', succeeded: pushed.length, failed: 0, totalBytes });
    return pushed;
  } finally {
    await target.close();
  }
}

function nameIn(registry: string, image: BillImage, renames: ReadonlyMap<string, string>): string {
  const { registry: from, repository, tag } = parseImageReference(image.reference);
  const short = repository.replace(/^library\//, '');
  const rename = renames.get(`${from}/${repository}`) ?? renames.get(short) ?? renames.get(image.key);
  return `${registry}/${rename ?? short}:${tag}`;
}

/** The writing half of OCI distribution. */
class PushTarget {
  readonly #options: PushOptions;
  readonly #origin: string;
  readonly #dispatcher: Dispatcher = new EnvHttpProxyAgent({ headersTimeout: 300_000, bodyTimeout: 300_000 });
  readonly #authorization: Promise<string | null>;

  constructor(options: PushOptions) {
    this.#options = options;
    const plain = options.insecure || /^(localhost|127\.\d+\.\d+\.\d+)(:|$)/.test(options.registry);
    this.#origin = `${plain ? 'http' : 'https'}://${options.registry}`;
    this.#authorization = registryCredentials(options.registry).then((basic) =>
      basic === null ? null : `Basic ${basic}`,
    );
  }

  close(): Promise<void> {
    return this.#dispatcher.destroy();
  }

  /** True if the blob was sent, false if it was there. */
  async blob(repository: string, place: BlobPlace, onBytes: (bytes: number) => void): Promise<boolean> {
    const there = await this.#send('HEAD', `/v2/${repository}/blobs/${place.digest}`, repository, [200, 404]);
    if (there.statusCode === 200) return false;
    const begun = await this.#send('POST', `/v2/${repository}/blobs/uploads/`, repository, [202]);
    const location = new URL(String(begun.headers.location ?? ''), this.#origin);
    location.searchParams.set('digest', place.digest);
    const { reader } = this.#options;
    const counted = (async function* () {
      for await (const bytes of reader.blob(place.digest)) {
        onBytes(bytes.length);
        yield bytes;
      }
    })();
    await this.#send('PUT', location.href, repository, [201], {
      body: Readable.from(counted, { objectMode: false }),
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(place.sizeBytes) },
    });
    return true;
  }

  async manifest(repository: string, tag: string, bytes: Buffer, image: BillImage): Promise<void> {
    const headers = { 'content-type': image.manifest_media_type };
    await this.#send('PUT', `/v2/${repository}/manifests/${tag}`, repository, [201], { body: bytes, headers });
  }

  async #send(
    method: 'HEAD' | 'POST' | 'PUT',
    path: string,
    repository: string,
    expected: readonly number[],
    extra: { body?: Readable | Buffer; headers?: Record<string, string> } = {},
  ): Promise<Dispatcher.ResponseData> {
    const authorization = await this.#authorization;
    const { registry, signal } = this.#options;
    let answer: Dispatcher.ResponseData;
    try {
      answer = await request(new URL(path, this.#origin), {
        dispatcher: this.#dispatcher,
        method,
        headers: { ...extra.headers, ...(authorization === null ? {} : { authorization }) },
        body: extra.body ?? null,
        signal: signal ?? null,
      });
    } catch (cause) {
      if (cause instanceof CortexError) throw cause;
      if (signal?.aborted) throw new CortexError('interrupted', {}, { cause });
      const reason = cause instanceof Error ? cause.message || String(Object(cause).code) : String(cause);
      throw new CortexError('registry_unreachable', { registry, reason }, { cause });
    }
    if (expected.includes(answer.statusCode)) {
      await answer.body.dump();
      return answer;
    }
    const reason = (await answer.body.text()).slice(0, 300) || 'no reason given';
    throw new CortexError('registry_refused', {
      image: `${registry}/${repository}`,
      status: answer.statusCode,
      reason,
    });
  }
}
