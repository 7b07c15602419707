import { createHash } from 'node:crypto';
import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';
import { canonicalName, digestPattern, type ImageReference } from './image-reference.ts';
import { readUpTo } from './read-up-to.ts';
import { attempts, pause, type RegistryOptions, RegistryTransport } from './registry-transport.ts';

const descriptor = z.object({
  mediaType: z.string(),
  digest: z.string().regex(digestPattern),
  size: z.number().int().min(0),
});
export type Descriptor = z.infer<typeof descriptor>;

const imageManifest = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  config: descriptor,
  layers: z.array(descriptor).max(1000),
});
const imageIndex = z.object({
  schemaVersion: z.literal(2),
  manifests: z
    .array(
      descriptor.extend({
        platform: z.object({ os: z.string(), architecture: z.string(), variant: z.string().optional() }).optional(),
      }),
    )
    .max(1000),
});
export const imageConfig = z.looseObject({
  architecture: z.string(),
  os: z.string(),
  rootfs: z.object({ type: z.string(), diff_ids: z.array(z.string().regex(digestPattern)).max(1000) }),
});

const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];

/** An image as its registry has it, for one platform. */
export interface RemoteImage {
  readonly reference: ImageReference;
  readonly indexDigest: string | null;
  readonly manifest: { readonly mediaType: string; readonly digest: string; readonly bytes: Buffer };
  readonly config: { readonly descriptor: Descriptor; readonly bytes: Buffer };
  readonly layers: readonly Descriptor[];
  readonly diffIds: readonly string[];
  /** The index that the tag pointed to, byte for byte. */
  readonly index: Buffer | null;
  /** Whether the registry gives parts of a blob. */
  readonly splittable: boolean;
}

const manifestLimitBytes = 4 * 1024 * 1024;
const configLimitBytes = 8 * 1024 * 1024;
const evidenceLimitBytes = configLimitBytes;
const sha256 = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** Reads images straight from registries (OCI distribution), without a Docker Engine. */
export class RegistryClient {
  readonly #transport: RegistryTransport;

  constructor(options: RegistryOptions = {}) {
    this.#transport = new RegistryTransport(options);
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  /** Resolves a tag to the image of one platform. @throws CortexError image_not_in_registry, platform_missing, media_type_unknown, registry_* */
  async resolve(reference: ImageReference, platform: string): Promise<RemoteImage> {
    const name = canonicalName(reference);
    const first = await this.#manifest(reference, reference.digest ?? reference.tag);
    const index = imageIndex.safeParse(first.json);
    const isIndex = index.success && !imageManifest.safeParse(first.json).success;
    const found = isIndex
      ? await this.#manifest(reference, choose(index.data.manifests, name, platform).digest)
      : first;
    const parsed = imageManifest.safeParse(found.json);
    if (!parsed.success) throw new CortexError('media_type_unknown', { image: name, mediaType: found.mediaType });
    const { config, layers } = parsed.data;
    const { bytes: configBytes, splittable } = await this.#smallBlob(reference, config);
    const { architecture, os, rootfs } = imageConfig.parse(JSON.parse(configBytes.toString('utf8')));
    if (`${os}/${architecture}` !== platform)
      throw new CortexError('platform_missing', { image: name, platform, available: `${os}/${architecture}` });
    return {
      reference,
      indexDigest: isIndex ? first.digest : null,
      manifest: { mediaType: found.mediaType, digest: found.digest, bytes: found.bytes },
      config: { descriptor: config, bytes: configBytes },
      layers,
      diffIds: rootfs.diff_ids,
      index: isIndex ? first.bytes : null,
      splittable,
    };
  }

  /**
   * A blob's bytes from `from` up to `to`. A connection that breaks is taken up where it stopped. The digest is not checked
   * here: who writes the bytes hashes them on the way.
   */
  async *blob(reference: ImageReference, { digest, size }: Descriptor, from = 0, to = size): AsyncGenerator<Buffer> {
    let at = from;
    for (let attempt = 1; at < to; attempt += 1) {
      try {
        const range = at === 0 && to === size ? {} : { range: `bytes=${at}-${to - 1}` };
        const { statusCode, body } = await this.#transport.get(reference, `blobs/${digest}`, range);
        // A registry that ignores Range sends the blob from its start, and to its end.
        let skip = statusCode === 206 ? 0 : at;
        for await (const chunk of body) {
          const bytes: Buffer = chunk;
          const fresh = skip >= bytes.length ? null : bytes.subarray(skip, skip + to - at);
          skip = Math.max(0, skip - bytes.length);
          if (fresh === null) continue;
          at += fresh.length;
          attempt = 1;
          yield fresh;
          if (at >= to) return;
        }
        throw new Error('the connection ended early');
      } catch (cause) {
        if (cause instanceof CortexError || this.#transport.isStopped || attempt >= attempts)
          throw this.#transport.unreachable(reference, cause);
        await pause(attempt);
      }
    }
  }

  /** Signatures, SBOMs and attestations that upstream tied to a manifest (OCI referrers, or cosign's tags before them). */
  async referrers(reference: ImageReference, digest: string): Promise<{ digest: string; bytes: Buffer }[]> {
    const found: { digest: string; bytes: Buffer }[] = [];
    const listed = await this.#manifest(reference, digest, 'referrers').catch(ignoreMissing);
    const index = imageIndex.safeParse(listed?.json);
    const targets = index.success ? index.data.manifests.map((entry) => entry.digest) : [];
    const tag = digest.replace(':', '-');
    for (const name of targets.length > 0 ? targets : [`${tag}.sig`, `${tag}.att`, `${tag}.sbom`]) {
      const manifest = await this.#manifest(reference, name).catch(ignoreMissing);
      if (manifest === null) continue;
      found.push({ digest: manifest.digest, bytes: manifest.bytes });
      const { data } = imageManifest.safeParse(manifest.json);
      for (const layer of data?.layers ?? []) {
        if (layer.size > evidenceLimitBytes) continue;
        found.push({ digest: layer.digest, bytes: (await this.#smallBlob(reference, layer)).bytes });
      }
    }
    return found;
  }

  async #smallBlob(reference: ImageReference, wanted: Descriptor): Promise<{ bytes: Buffer; splittable: boolean }> {
    const image = canonicalName(reference);
    if (wanted.size > configLimitBytes)
      throw new CortexError('media_type_unknown', { image, mediaType: wanted.mediaType });
    // Asked for as a range, so that it is known whether the layers may come in parts.
    const { statusCode, body } = await this.#transport.get(reference, `blobs/${wanted.digest}`, {
      range: `bytes=0-${wanted.size - 1}`,
    });
    const bytes = await readUpTo(body, wanted.size);
    this.#checkDigest(`the configuration of ${image}`, wanted.digest, bytes);
    return { bytes, splittable: statusCode === 206 };
  }

  async #manifest(reference: ImageReference, tagOrDigest: string, kind: 'manifests' | 'referrers' = 'manifests') {
    const { headers, body } = await this.#transport.get(reference, `${kind}/${tagOrDigest}`, {
      accept: manifestTypes.join(', '),
    });
    const bytes = await readUpTo(body, manifestLimitBytes + 1);
    const image = canonicalName(reference);
    if (bytes.length > manifestLimitBytes)
      throw new CortexError('media_type_unknown', { image, mediaType: 'an oversized manifest' });
    if (kind === 'manifests' && tagOrDigest.startsWith('sha256:'))
      this.#checkDigest(`the manifest of ${image}`, tagOrDigest, bytes);
    const told = headers['docker-content-digest'];
    if (typeof told === 'string' && digestPattern.test(told))
      this.#checkDigest(`the manifest of ${image}`, told, bytes);
    const json = parseManifest(bytes, image);
    const mediaType = String(Object(json).mediaType ?? headers['content-type'] ?? '').split(';')[0] ?? '';
    return { bytes, json, mediaType, digest: sha256(bytes) };
  }

  #checkDigest(what: string, expected: string, bytes: Buffer): void {
    const found = sha256(bytes);
    if (found !== expected) throw new CortexError('digest_mismatch', { what, expected, found });
  }
}

function choose(manifests: z.infer<typeof imageIndex>['manifests'], image: string, platform: string): Descriptor {
  const nameOf = (entry: (typeof manifests)[number]) => `${entry.platform?.os}/${entry.platform?.architecture}`;
  const found = manifests.find((entry) => nameOf(entry) === platform);
  if (found !== undefined) return found;
  const available = manifests.map(nameOf).filter((name) => !name.includes('unknown') && !name.includes('undefined'));
  throw new CortexError('platform_missing', { image, platform, available: available.join(', ') || 'no platform' });
}

function parseManifest(bytes: Buffer, image: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new CortexError('media_type_unknown', { image, mediaType: 'no JSON at all' }, { cause });
  }
}

function ignoreMissing(error: unknown): null {
  if (error instanceof CortexError && ['image_not_in_registry', 'registry_refused'].includes(error.code)) return null;
  throw error;
}
