import { createHash } from 'node:crypto';
import { PassThrough, pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';
import type { DockerEngine } from '../docker/engine.ts';
import type { BillImage } from './bill.ts';
import { parseImageReference } from './image-reference.ts';
import type { PackageReader } from './package-reader.ts';
import { RegistryServer, readBlob, type ServedBlob, type ServedImage, servedBlob } from './registry-server.ts';

const manifestLayers = z.object({
  config: z.object({ mediaType: z.string(), digest: z.string(), size: z.number() }),
  layers: z.array(z.object({ mediaType: z.string(), digest: z.string(), size: z.number() })).max(1000),
});
const dockerManifest = 'application/vnd.docker.distribution.manifest.v2+json';

export interface LoopbackOptions {
  readonly reader: PackageReader;
  readonly engine: DockerEngine;
  readonly imageStore: 'graphdriver' | 'containerd';
  readonly onBytes: (image: BillImage, bytes: number) => void;
}

/** The Engine could not reach us: it runs elsewhere, or does not take plain HTTP from loopback. */
export class LoopbackUnreachable extends Error {
  override readonly name = 'LoopbackUnreachable';
}

/**
 * Lets an Engine of this machine pull from the package: it takes only what it lacks, several layers at once, and checks each.
 * The containerd store gets upstream's own manifest, so that digests stay. The graphdriver store keeps layers unpacked and
 * names an image by its configuration: it gets the layers inflated by us, which is faster than its own inflate
 * (Node's zlib 450 MB/s a core against Go's 170) and happens for several layers at once.
 */
export class EngineLoopback {
  readonly #options: LoopbackOptions;
  readonly #server: RegistryServer;
  readonly #served = new Map<string, { image: BillImage; found: ServedImage; failed: (error: unknown) => void }>();
  #port = 0;
  #next = 0;

  constructor(options: LoopbackOptions) {
    this.#options = options;
    this.#server = new RegistryServer({
      find: (repository) => this.#served.get(repository)?.found ?? null,
      onError: (repository, error) => this.#served.get(repository)?.failed(error),
    });
  }

  async start(): Promise<void> {
    ({ port: this.#port } = await this.#server.listen('127.0.0.1', 0));
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  /**
   * Pulls one image and gives it its real name.
   * @throws LoopbackUnreachable, CortexError package_file_* where the package is damaged, docker_failed
   */
  async pull(image: BillImage, signal?: AbortSignal): Promise<void> {
    const { engine, imageStore } = this.#options;
    const found = imageStore === 'containerd' ? await this.#exact(image) : await this.#inflated(image);
    const repository = `cortex/${this.#next++}`;
    const stop = new AbortController();
    let damage: unknown = null;
    const failed = (error: unknown) => {
      damage ??= error;
      // The Engine would ask five times more, with ever longer pauses.
      stop.abort();
    };
    this.#served.set(repository, { image, found, failed });
    const name = `127.0.0.1:${this.#port}/${repository}:load`;
    try {
      const signals = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
      await engine.images.pull(name, { signal: signals });
      const { registry, repository: path, tag } = parseImageReference(image.reference);
      await engine.images.tag(
        name,
        registry === 'docker.io' ? path.replace(/^library\//, '') : `${registry}/${path}`,
        tag,
      );
    } catch (error) {
      if (damage !== null) throw damage;
      if (signal?.aborted) throw new CortexError('interrupted', {}, { cause: error });
      if (error instanceof CortexError && unreachable.test(error.message))
        throw new LoopbackUnreachable(error.message, { cause: error });
      throw error;
    } finally {
      this.#served.delete(repository);
      await engine.images.remove(name).catch(() => undefined);
    }
  }

  async #exact(image: BillImage): Promise<ServedImage> {
    const { reader } = this.#options;
    const bytes = await readBlob(reader, image.manifest_digest);
    return {
      manifest: { bytes, mediaType: image.manifest_media_type, digest: image.manifest_digest },
      blob: (digest) => this.#plain(image, digest),
    };
  }

  async #inflated(image: BillImage): Promise<ServedImage> {
    const { reader } = this.#options;
    const { config, layers } = manifestLayers.parse(
      JSON.parse((await readBlob(reader, image.manifest_digest)).toString('utf8')),
    );
    const inflated = new Map<string, string>();
    const served = layers.map((layer, index) => {
      const diffId = image.diff_ids[index];
      if (diffId === undefined || !layer.mediaType.endsWith('gzip')) return layer;
      inflated.set(diffId, layer.digest);
      return { mediaType: 'application/vnd.docker.image.rootfs.diff.tar', digest: diffId, size: layer.size };
    });
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: dockerManifest, config, layers: served }));
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    return {
      manifest: { bytes, mediaType: dockerManifest, digest },
      blob: (wanted) => {
        const packed = inflated.get(wanted);
        const plain = this.#plain(image, packed ?? wanted);
        if (plain === null || packed === undefined) return plain;
        return { sizeBytes: null, open: () => inflate(plain) };
      },
    };
  }

  #plain(image: BillImage, digest: string): ServedBlob | null {
    const { reader, onBytes } = this.#options;
    const place = reader.place(digest);
    if (place === null) return null;
    const blob = servedBlob(reader, place);
    const counted = async function* (source: AsyncIterable<Buffer>) {
      for await (const bytes of source) {
        onBytes(image, bytes.length);
        yield bytes;
      }
    };
    return { ...blob, open: (from, to) => counted(blob.open(from, to)) };
  }
}

const unreachable =
  /connection refused|no route to host|i\/o timeout|HTTP response to HTTPS client|no such host|network is unreachable|connection reset/i;
const inflateBytes = 256 * 1024;

function inflate(blob: ServedBlob): AsyncIterable<Buffer> {
  const output = new PassThrough({ highWaterMark: 4 * inflateBytes });
  const source = Readable.from(blob.open(0, blob.sizeBytes ?? 0), { objectMode: false, highWaterMark: inflateBytes });
  // The callback form: the error reaches the reader of `output` by itself.
  pipeline(source, createGunzip({ chunkSize: inflateBytes }), output, () => undefined);
  return output;
}
