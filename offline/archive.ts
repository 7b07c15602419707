import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { CortexError } from '../contract/errors.ts';
import { blockBytes, paddingOf, tarHeader } from '../docker/tar.ts';
import { canonicalName, familiarName, type ImageReference } from './image-reference.ts';
import type { Descriptor } from './registry.ts';

/** An image with a way to get each blob's bytes. */
export interface PackableImage {
  readonly reference: ImageReference;
  readonly platform: string;
  readonly manifest: { readonly mediaType: string; readonly digest: string; readonly bytes: Buffer };
  readonly config: { readonly descriptor: Descriptor; readonly bytes: Buffer };
  readonly layers: readonly Descriptor[];
  readonly open: (layer: Descriptor) => AsyncIterable<Buffer>;
}

interface BlobPlace {
  readonly layer: Descriptor;
  /** Where the blob's own bytes begin in the archive. */
  readonly offset: number;
}

/**
 * One image's archive: a docker-archive and an OCI layout in the same tar, with the blobs byte for byte as the registry has
 * them. `docker load -i` takes it on 20.10 (graphdriver), 26 (graphdriver) and 26 (containerd store); airgap-field.md 4b.
 * All sizes are known from the manifest, so every blob's place is known before its first byte is fetched.
 */
export interface ArchivePlan {
  readonly sizeBytes: number;
  /** Everything that is not a layer: headers, manifests, the end. */
  readonly pieces: readonly { readonly offset: number; readonly bytes: Buffer }[];
  readonly blobs: readonly BlobPlace[];
}

const blobPath = (digest: string) => `blobs/sha256/${digest.slice('sha256:'.length)}`;
const json = (value: unknown) => Buffer.from(JSON.stringify(value));

export function planArchive(image: PackableImage): ArchivePlan {
  const { reference, manifest, config } = image;
  const layers = [...new Map(image.layers.map((layer) => [layer.digest, layer])).values()];
  const [os, architecture] = image.platform.split('/');
  const index = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      {
        mediaType: manifest.mediaType,
        digest: manifest.digest,
        size: manifest.bytes.length,
        annotations: {
          'io.containerd.image.name': canonicalName(reference),
          'org.opencontainers.image.ref.name': reference.tag,
        },
        platform: { architecture, os },
      },
    ],
  };
  const dockerManifest = [
    {
      Config: blobPath(config.descriptor.digest),
      RepoTags: [familiarName(reference)],
      Layers: image.layers.map((layer) => blobPath(layer.digest)),
    },
  ];
  const pieces: { offset: number; bytes: Buffer }[] = [];
  const blobs: BlobPlace[] = [];
  let at = 0;
  const put = (bytes: Buffer) => {
    pieces.push({ offset: at, bytes });
    at += bytes.length;
  };
  const file = (name: string, content: Buffer) =>
    put(
      Buffer.concat([tarHeader({ name, sizeBytes: content.length }), content, Buffer.alloc(paddingOf(content.length))]),
    );

  file('oci-layout', json({ imageLayoutVersion: '1.0.0' }));
  file('index.json', json(index));
  file('manifest.json', json(dockerManifest));
  put(
    Buffer.concat([
      tarHeader({ name: 'blobs/', sizeBytes: 0, directory: true }),
      tarHeader({ name: 'blobs/sha256/', sizeBytes: 0, directory: true }),
    ]),
  );
  file(blobPath(manifest.digest), manifest.bytes);
  file(blobPath(config.descriptor.digest), config.bytes);
  for (const layer of layers) {
    put(tarHeader({ name: blobPath(layer.digest), sizeBytes: layer.size }));
    blobs.push({ layer, offset: at });
    at += layer.size;
    put(Buffer.alloc(paddingOf(layer.size)));
  }
  put(Buffer.alloc(2 * blockBytes));
  return { sizeBytes: at, pieces: pieces.filter(({ bytes }) => bytes.length > 0), blobs };
}

/** Writes a blob to its place, hashing on the way. @throws CortexError digest_mismatch */
export async function writeBlob(
  file: FileHandle,
  { layer, offset }: BlobPlace,
  source: AsyncIterable<Buffer>,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const hash = createHash('sha256');
  let written = 0;
  for await (const chunk of source) {
    if (written + chunk.length > layer.size) break;
    hash.update(chunk);
    // A write may take less than it was given.
    for (let done = 0; done < chunk.length; ) {
      done += (await file.write(chunk, done, chunk.length - done, offset + written + done)).bytesWritten;
    }
    written += chunk.length;
    onBytes(chunk.length);
  }
  const found = `sha256:${hash.digest('hex')}`;
  if (found !== layer.digest)
    throw new CortexError('digest_mismatch', { what: 'a layer', expected: layer.digest, found });
}
