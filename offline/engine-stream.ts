import { PassThrough, pipeline, Readable } from 'node:stream';
import { z } from 'zod';
import type { DockerEngine } from '../docker/engine.ts';
import { blockBytes, paddingOf, tarHeader } from '../docker/tar.ts';
import { dockerManifestOf, indexOf } from './archive.ts';
import type { BillImage } from './bill.ts';
import { parseImageReference } from './image-reference.ts';
import type { PackageReader } from './package-reader.ts';
import { readBlob } from './registry-server.ts';

const manifestLayers = z.object({
  layers: z.array(z.object({ mediaType: z.string(), digest: z.string(), size: z.number() })).max(1000),
});

/**
 * Streams one image into an Engine that can't pull from us: a remote one, Podman, or the base of a delta. Layers that the
 * package leaves out are left out here as well; both stores then take them from what they have (airgap-field.md 4b).
 */
export async function streamImage(
  image: BillImage,
  options: {
    reader: PackageReader;
    engine: DockerEngine;
    onBytes: (bytes: number) => void;
    signal?: AbortSignal | undefined;
  },
): Promise<void> {
  const { reader, engine, onBytes, signal } = options;
  const tar = image.blobs.length === 0 ? reader.stream(image.file) : archiveOf(image, reader);
  let damage: unknown = null;
  const counted = (async function* () {
    try {
      for await (const bytes of tar) {
        onBytes(bytes.length);
        yield bytes;
      }
    } catch (error) {
      damage = error;
      throw error;
    }
  })();
  // Not pipe(): an error of the source has to break the request off, or the Engine would wait for ever.
  const body = pipeline(Readable.from(counted, { objectMode: false }), new PassThrough(), () => undefined);
  try {
    await engine.images.load(body, signal === undefined ? {} : { signal });
  } catch (error) {
    throw damage ?? error;
  }
}

/** The archive of one image as it would stand in a package of its own, made on the fly from wherever its blobs are. */
export async function* archiveOf(image: BillImage, reader: PackageReader): AsyncGenerator<Buffer> {
  const manifest = await readBlob(reader, image.manifest_digest);
  const config = await readBlob(reader, image.config_digest);
  const { layers } = manifestLayers.parse(JSON.parse(manifest.toString('utf8')));
  const reference = parseImageReference(image.reference);
  const described = {
    reference,
    platform: image.platform,
    manifest: { mediaType: image.manifest_media_type, digest: image.manifest_digest, bytes: manifest },
    config: { descriptor: { mediaType: '', digest: image.config_digest, size: config.length }, bytes: config },
    layers,
  };
  yield* fileOf('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
  yield* fileOf('index.json', indexOf(described));
  yield* fileOf('manifest.json', dockerManifestOf(described));
  yield* fileOf(pathOf(image.manifest_digest), manifest);
  yield* fileOf(pathOf(image.config_digest), config);
  for (const digest of new Set(layers.map((layer) => layer.digest))) {
    const place = reader.place(digest);
    if (place === null) continue;
    yield tarHeader({ name: pathOf(digest), sizeBytes: place.sizeBytes });
    yield* reader.blob(digest);
    yield Buffer.alloc(paddingOf(place.sizeBytes));
  }
  yield Buffer.alloc(2 * blockBytes);
}

const pathOf = (digest: string) => `blobs/sha256/${digest.slice('sha256:'.length)}`;

function* fileOf(name: string, content: Buffer): Generator<Buffer> {
  yield tarHeader({ name, sizeBytes: content.length });
  yield content;
  yield Buffer.alloc(paddingOf(content.length));
}
