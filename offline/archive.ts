import { blockBytes, paddingOf, tarHeader } from '../docker/tar.ts';
import type { BlobPlace } from './bill.ts';
import { canonicalName, familiarName, type ImageReference } from './image-reference.ts';
import { type Member, type MemberBlob, makeMember, type OpenRange } from './member.ts';
import type { Descriptor } from './registry.ts';

/** An image with a way to get each blob's bytes. */
export interface PackableImage {
  readonly reference: ImageReference;
  readonly platform: string;
  readonly manifest: { readonly mediaType: string; readonly digest: string; readonly bytes: Buffer };
  readonly config: { readonly descriptor: Descriptor; readonly bytes: Buffer };
  readonly layers: readonly Descriptor[];
  readonly diffIds: readonly string[];
  readonly open: (layer: Descriptor) => OpenRange;
  /** Whether a layer may come in several ranges. */
  readonly splittable: boolean;
}

const blobPath = (digest: string) => `blobs/sha256/${digest.slice('sha256:'.length)}`;
const json = (value: unknown) => Buffer.from(JSON.stringify(value));

/**
 * One image's archive: a docker-archive and an OCI layout in the same tar, with the blobs byte for byte as the registry has
 * them. `docker load -i` takes it on 20.10 (graphdriver), 26 (graphdriver) and 26 (containerd store); airgap-field.md 4b.
 * All sizes are known from the manifest, so every blob's place is known before its first byte is fetched.
 * @param elsewhere layers that this archive leaves out: another file of the package has them, or (null) the base of a delta
 */
export function planArchive(
  image: PackableImage,
  file: string,
  elsewhere: ReadonlyMap<string, BlobPlace | null> = new Map(),
): { member: Member; blobs: BlobPlace[] } {
  const pieces: { offset: number; bytes: Buffer }[] = [];
  const blobs: MemberBlob[] = [];
  const places = new Map<string, BlobPlace>();
  let at = 0;
  const put = (bytes: Buffer) => {
    if (bytes.length > 0) pieces.push({ offset: at, bytes });
    at += bytes.length;
  };
  const putFile = (name: string, content: Buffer, digest?: string) => {
    put(tarHeader({ name, sizeBytes: content.length }));
    if (digest !== undefined) places.set(digest, { digest, sizeBytes: content.length, file, offset: at });
    put(content);
    put(Buffer.alloc(paddingOf(content.length)));
  };

  putFile('oci-layout', json({ imageLayoutVersion: '1.0.0' }));
  putFile('index.json', indexOf(image));
  putFile('manifest.json', dockerManifestOf(image));
  put(tarHeader({ name: 'blobs/', sizeBytes: 0, directory: true }));
  put(tarHeader({ name: 'blobs/sha256/', sizeBytes: 0, directory: true }));
  putFile(blobPath(image.manifest.digest), image.manifest.bytes, image.manifest.digest);
  putFile(blobPath(image.config.descriptor.digest), image.config.bytes, image.config.descriptor.digest);
  for (const layer of image.layers) {
    const { digest, size: sizeBytes } = layer;
    if (places.has(digest)) continue;
    const other = elsewhere.get(digest);
    if (other !== undefined) {
      places.set(digest, other ?? { digest, sizeBytes, file: null, offset: 0 });
      continue;
    }
    put(tarHeader({ name: blobPath(digest), sizeBytes }));
    places.set(digest, { digest, sizeBytes, file, offset: at });
    blobs.push({ offset: at, sizeBytes, digest, key: digest, open: image.open(layer), splittable: image.splittable });
    at += sizeBytes;
    put(Buffer.alloc(paddingOf(sizeBytes)));
  }
  put(Buffer.alloc(2 * blockBytes));
  return {
    member: makeMember({ name: file, sizeBytes: at, pieces: joined(pieces), blobs }),
    blobs: [...places.values()],
  };
}

/** What `docker load` of the containerd store and OCI tools read. */
export function indexOf({
  reference,
  platform,
  manifest,
}: Pick<PackableImage, 'reference' | 'platform' | 'manifest'>): Buffer {
  const [os, architecture] = platform.split('/');
  return json({
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
  });
}

/** What `docker load` of the graphdriver store reads. */
export const dockerManifestOf = ({
  config,
  reference,
  layers,
}: Pick<PackableImage, 'config' | 'reference' | 'layers'>): Buffer =>
  json([
    {
      Config: blobPath(config.descriptor.digest),
      RepoTags: [familiarName(reference)],
      Layers: layers.map((layer) => blobPath(layer.digest)),
    },
  ]);

/** Neighbours become one write. */
function joined(pieces: readonly { offset: number; bytes: Buffer }[]): { offset: number; bytes: Buffer }[] {
  const groups: { offset: number; end: number; parts: Buffer[] }[] = [];
  for (const { offset, bytes } of pieces) {
    const last = groups.at(-1);
    if (last !== undefined && last.end === offset) {
      last.parts.push(bytes);
      last.end += bytes.length;
    } else groups.push({ offset, end: offset + bytes.length, parts: [bytes] });
  }
  return groups.map(({ offset, parts }) => ({ offset, bytes: Buffer.concat(parts) }));
}
