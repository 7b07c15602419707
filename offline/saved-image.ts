import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { dirname, posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';
import type { DockerEngine } from '../docker/engine.ts';
import type { PackableImage } from './archive.ts';
import { familiarName, parseImageReference } from './image-reference.ts';
import { type Descriptor, imageConfig } from './registry.ts';
import { readTarIndex, type TarPlace } from './tar-index.ts';

const dockerManifest = z
  .array(
    z.object({
      Config: z.string().max(512),
      RepoTags: z.array(z.string().max(512)).nullish(),
      Layers: z.array(z.string().max(512)).max(1000),
    }),
  )
  .max(1000);
const documentLimitBytes = 8 * 1024 * 1024;

/**
 * An image that only an Engine has. Its archive (`docker save`) is kept in `tempFile` until the package is written; its layers
 * are uncompressed there and go into the package like that. @throws CortexError archive_invalid, docker_failed
 */
export async function openSavedImage(
  engine: DockerEngine,
  reference: string,
  tempFile: string,
): Promise<PackableImage> {
  await mkdir(dirname(tempFile), { recursive: true });
  await pipeline(await engine.images.save(reference), createWriteStream(tempFile, { mode: 0o600 }));
  const images = await readSavedArchive(tempFile);
  const wanted = familiarName(parseImageReference(reference));
  const found = images.find(({ tags }) => tags.includes(wanted) || tags.includes(reference)) ?? images[0];
  if (found === undefined) throw new CortexError('archive_invalid', { file: tempFile, reason: 'it holds no image' });
  return found.open(wanted);
}

export interface SavedImage {
  readonly tags: readonly string[];
  /** The image under one of its names. */
  readonly open: (reference: string) => PackableImage;
}

/**
 * The images of a `docker save` archive, of any Engine since 1.10: read in place, nothing is unpacked.
 * @throws CortexError archive_invalid
 */
export async function readSavedArchive(file: string): Promise<SavedImage[]> {
  const refuse = (reason: string, cause?: unknown) => new CortexError('archive_invalid', { file, reason }, { cause });
  const handle = await open(file, 'r');
  try {
    const places = await readTarIndex(handle, file);
    const readDocument = async (name: string) => {
      const place = resolveLink(places, name);
      if (place === undefined) throw refuse(`${name} is not in it`);
      if (place.sizeBytes > documentLimitBytes) throw refuse(`${name} is far too large`);
      const bytes = Buffer.alloc(place.sizeBytes);
      await handle.read(bytes, 0, bytes.length, place.offset);
      return bytes;
    };
    const entries = dockerManifest.safeParse(parseJson(await readDocument('manifest.json')));
    if (!entries.success) throw refuse('its manifest.json is not one of docker save', entries.error);
    return await Promise.all(
      entries.data.map(async ({ Config, RepoTags, Layers }) => {
        const config = await readDocument(Config);
        const parsed = imageConfig.safeParse(parseJson(config));
        if (!parsed.success) throw refuse(`${Config} is not an image configuration`, parsed.error);
        const layers = Layers.map((name) => {
          const place = resolveLink(places, name);
          if (place === undefined) throw refuse(`the layer ${name} is not in it`);
          return place;
        });
        const { architecture, os, rootfs } = parsed.data;
        if (layers.length !== rootfs.diff_ids.length)
          throw refuse('it has another number of layers than its configuration');
        return {
          tags: RepoTags ?? [],
          open: (reference: string) =>
            packable(file, reference, config, `${os}/${architecture}`, rootfs.diff_ids, layers),
        };
      }),
    );
  } finally {
    await handle.close();
  }
}

function packable(
  file: string,
  name: string,
  config: Buffer,
  platform: string,
  diffIds: readonly string[],
  places: readonly TarPlace[],
): PackableImage {
  const configDescriptor: Descriptor = {
    mediaType: 'application/vnd.oci.image.config.v1+json',
    digest: `sha256:${createHash('sha256').update(config).digest('hex')}`,
    size: config.length,
  };
  const layers = diffIds.map(
    (digest, index): Descriptor => ({
      mediaType: 'application/vnd.oci.image.layer.v1.tar',
      digest,
      size: places[index]?.sizeBytes ?? 0,
    }),
  );
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config: configDescriptor, layers }));
  const offsets = new Map(diffIds.map((digest, index) => [digest, places[index]?.offset ?? 0]));
  return {
    reference: parseImageReference(name),
    platform,
    manifest: { mediaType, digest: `sha256:${createHash('sha256').update(manifest).digest('hex')}`, bytes: manifest },
    config: { descriptor: configDescriptor, bytes: config },
    layers,
    diffIds,
    splittable: true,
    open:
      ({ digest }) =>
      (from, to) => {
        const start = offsets.get(digest) ?? 0;
        return createReadStream(file, { start: start + from, end: start + to - 1, highWaterMark: 1024 * 1024 });
      },
  };
}

/** Engines before 25 link layers that two images share. */
function resolveLink(places: ReadonlyMap<string, TarPlace>, name: string): TarPlace | undefined {
  let at = places.get(posix.normalize(name));
  for (let hops = 0; at?.linkTo !== undefined && hops < 8; hops += 1)
    at = places.get(posix.normalize(posix.join(posix.dirname(at.name), at.linkTo)));
  return at?.linkTo === undefined ? at : undefined;
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
}
