import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { lstat, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';
import { blockBytes, paddingOf, tarHeader } from '../docker/tar.ts';
import type { PackableImage } from './archive.ts';
import { parseImageReference } from './image-reference.ts';
import { type Descriptor, imageConfig, type RegistryClient, type RemoteImage } from './registry.ts';

export const appDir = 'opt/cortex';

const lockFile = z.object({
  version: z.string(),
  packages: z.record(
    z.string(),
    z.object({ dev: z.boolean().optional(), devOptional: z.boolean().optional(), optional: z.boolean().optional() }),
  ),
});

/** What of the checkout goes into the image, beside the packages that the server needs. */
const carried = ['dist', 'package.json', 'versions.env', 'deploy', 'scripts'];
const leftOut = /^dist\/(tests|tests-types|frontend-types)(\/|$)|\.(tsbuildinfo|map|d\.ts)$/;

/**
 * Cortex's own image, made without a Docker Engine: the layers of the Node image as its registry has them, and one layer
 * more with this checkout's build. Equal input gives equal bytes, so preparing twice changes nothing.
 * `tempFile` holds the layer until the archive is written; the caller removes it.
 * @throws CortexError not_built
 */
export async function buildSelfImage(options: {
  rootDir: string;
  base: RemoteImage;
  registry: RegistryClient;
  reference: string;
  platform: string;
  tempFile: string;
}): Promise<PackableImage> {
  const { rootDir, base, registry, platform, tempFile } = options;
  for (const path of ['dist/backend/src/main.js', 'dist/cli/main.js', 'dist/frontend/index.html']) {
    if (!existsSync(join(rootDir, path))) throw new CortexError('not_built', { path });
  }
  const layer = await writeLayer(rootDir, tempFile);
  const reference = parseImageReference(options.reference);
  const baseConfig = imageConfig
    .extend({ config: z.looseObject({ Env: z.array(z.string()).optional() }).optional() })
    .parse(JSON.parse(base.config.bytes.toString('utf8')));
  const diffIds = [...base.diffIds, layer.diffId];
  const config = Buffer.from(
    JSON.stringify({
      architecture: baseConfig.architecture,
      os: baseConfig.os,
      config: {
        Env: [
          ...(baseConfig.config?.Env ?? ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin']),
          'NODE_ENV=production',
          `CORTEX_ROOT=/${appDir}`,
        ],
        WorkingDir: `/${appDir}`,
        Cmd: ['node', 'dist/backend/src/main.js'],
        ExposedPorts: { '8084/tcp': {}, '3001/tcp': {} },
        Labels: { 'org.opencontainers.image.title': 'Cortex', 'org.opencontainers.image.version': reference.tag },
      },
      rootfs: { type: 'layers', diff_ids: diffIds },
    }),
  );
  const isOci = base.manifest.mediaType.includes('oci');
  const configDescriptor: Descriptor = {
    mediaType: isOci ? 'application/vnd.oci.image.config.v1+json' : 'application/vnd.docker.container.image.v1+json',
    digest: digestOf(config),
    size: config.length,
  };
  const own: Descriptor = {
    mediaType: isOci
      ? 'application/vnd.oci.image.layer.v1.tar+gzip'
      : 'application/vnd.docker.image.rootfs.diff.tar.gzip',
    digest: layer.digest,
    size: layer.sizeBytes,
  };
  const layers = [...base.layers, own];
  const manifest = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: base.manifest.mediaType, config: configDescriptor, layers }),
  );
  return {
    reference,
    platform,
    manifest: { mediaType: base.manifest.mediaType, digest: digestOf(manifest), bytes: manifest },
    config: { descriptor: configDescriptor, bytes: config },
    layers,
    diffIds,
    splittable: base.splittable,
    open: (wanted) => (from, to) =>
      wanted.digest === own.digest
        ? createReadStream(tempFile, { start: from, end: to - 1, highWaterMark: 256 * 1024 })
        : registry.blob(base.reference, wanted, from, to),
  };
}

const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

async function writeLayer(rootDir: string, tempFile: string) {
  const unpacked = createHash('sha256');
  const packed = createHash('sha256');
  let sizeBytes = 0;
  const seen = (hash: typeof packed, count?: (bytes: number) => void) =>
    new Transform({
      transform(chunk: Buffer, _encoding, done) {
        hash.update(chunk);
        count?.(chunk.length);
        done(null, chunk);
      },
    });
  const count = (bytes: number) => {
    sizeBytes += bytes;
  };
  await rm(tempFile, { force: true });
  const target = createWriteStream(tempFile, { mode: 0o600 });
  // Node's gzip header carries neither a name nor a time: equal input gives equal bytes.
  await pipeline(
    Readable.from(layerTar(rootDir)),
    seen(unpacked),
    createGzip({ level: 6 }),
    seen(packed, count),
    target,
  );
  await finished(target);
  return { diffId: `sha256:${unpacked.digest('hex')}`, digest: `sha256:${packed.digest('hex')}`, sizeBytes };
}

async function* layerTar(rootDir: string): AsyncGenerator<Buffer> {
  let dir = '';
  for (const part of appDir.split('/')) {
    dir += `${part}/`;
    yield tarHeader({ name: dir, sizeBytes: 0, directory: true });
  }
  for (const path of carried) if (existsSync(join(rootDir, path))) yield* tree(rootDir, path);
  yield tarHeader({ name: `${appDir}/node_modules/`, sizeBytes: 0, directory: true });
  for (const path of await productionPackages(rootDir)) yield* tree(rootDir, path);
  yield Buffer.alloc(2 * blockBytes);
}

async function* tree(rootDir: string, path: string): AsyncGenerator<Buffer> {
  if (leftOut.test(path)) return;
  const full = join(rootDir, path);
  const found = await lstat(full);
  const name = `${appDir}/${path}`;
  if (found.isSymbolicLink()) {
    yield tarHeader({ name, sizeBytes: 0, linkTo: await readlink(full) });
  } else if (found.isDirectory()) {
    yield tarHeader({ name: `${name}/`, sizeBytes: 0, directory: true });
    for (const entry of (await readdir(full)).sort()) {
      // Packages inside a package are listed by the lock file, each for itself.
      if (entry !== 'node_modules') yield* tree(rootDir, `${path}/${entry}`);
    }
  } else if (found.isFile()) {
    const content = await readFile(full);
    yield tarHeader({ name, sizeBytes: content.length, mode: found.mode & 0o111 ? 0o755 : 0o644 });
    yield content;
    yield Buffer.alloc(paddingOf(content.length));
  }
}

/** Packages that are not for development only; one that npm left out for this platform is left out here. */
async function productionPackages(rootDir: string): Promise<string[]> {
  const { packages } = lockFile.parse(JSON.parse(await readFile(join(rootDir, 'package-lock.json'), 'utf8')));
  return Object.entries(packages)
    .filter(([path, entry]) => path !== '' && !entry.dev && !entry.devOptional && existsSync(join(rootDir, path)))
    .map(([path]) => path)
    .sort();
}
