import { createCipheriv, createHash } from 'node:crypto';
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { blockBytes, paddingOf, tarHeader } from '../../docker/tar.ts';
import { digestOf, manifestType, pushManifest } from '../../tests/fixtures/registry-images.ts';

export interface BenchLayer {
  readonly file: string;
  readonly digest: string;
  readonly diffId: string;
  readonly sizeBytes: number;
  readonly unpackedBytes: number;
}

const megabyte = 1_000_000;
const recordBytes = 64;
const randomBytes = 26;
/** 16 kB: gzip looks back 32 kB. */
const words = 256;

/**
 * Bytes that compress like a CUDA image (2.2 to 1): of each 64-byte record 26 bytes are random and 38 come from a dictionary.
 * The same seed gives the same bytes on every machine.
 */
function* content(seed: string, sizeBytes: number): Generator<Buffer> {
  const random = createCipheriv('aes-128-ctr', createHash('md5').update(seed).digest(), Buffer.alloc(16));
  const dictionary = createCipheriv(
    'aes-128-ctr',
    createHash('md5').update('dictionary').digest(),
    Buffer.alloc(16),
  ).update(Buffer.alloc(words * recordBytes));
  const block = Buffer.alloc(megabyte - (megabyte % recordBytes));
  for (let left = sizeBytes; left > 0; ) {
    random.update(Buffer.alloc(block.length)).copy(block);
    for (let at = 0; at < block.length; at += recordBytes) {
      const word = (block.readUInt16LE(at) % words) * recordBytes;
      dictionary.copy(block, at + randomBytes, word, word + recordBytes - randomBytes);
    }
    yield Buffer.from(block.subarray(0, Math.min(block.length, left)));
    left -= block.length;
  }
}

/** Makes a layer once; later runs find it in the cache. */
export async function benchLayer(cache: string, name: string, unpackedBytes: number): Promise<BenchLayer> {
  mkdirSync(cache, { recursive: true });
  const file = join(cache, `${name}-${unpackedBytes}-${words}.tar.gz`);
  const note = `${file}.json`;
  if (existsSync(note)) return { file, ...JSON.parse(readFileSync(note, 'utf8')) };
  const tar = async function* () {
    yield tarHeader({ name: `opt/${name}.bin`, sizeBytes: unpackedBytes });
    yield* content(name, unpackedBytes);
    yield Buffer.alloc(paddingOf(unpackedBytes) + 2 * blockBytes);
  };
  const diff = createHash('sha256');
  const packed = createHash('sha256');
  const seen = (hash: typeof diff) =>
    new Transform({
      transform(chunk: Buffer, _encoding, done) {
        hash.update(chunk);
        done(null, chunk);
      },
    });
  await pipeline(
    Readable.from(tar()),
    seen(diff),
    createGzip({ level: 5 }),
    seen(packed),
    createWriteStream(`${file}.new`),
  );
  renameSync(`${file}.new`, file);
  const layer = {
    digest: `sha256:${packed.digest('hex')}`,
    diffId: `sha256:${diff.digest('hex')}`,
    sizeBytes: statSync(file).size,
    unpackedBytes,
  };
  writeFileSync(note, JSON.stringify(layer));
  return { file, ...layer };
}

/** Puts an image of such layers into a registry. */
export async function pushBenchImage(origin: string, repository: string, layers: readonly BenchLayer[]): Promise<void> {
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: { Cmd: ['/none'] },
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(config), size: config.length },
      layers: layers.map(({ digest, sizeBytes }) => ({
        mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
        digest,
        size: sizeBytes,
      })),
    }),
  );
  for (const { digest, file, sizeBytes } of layers) await push(origin, repository, digest, file, sizeBytes);
  await push(origin, repository, digestOf(config), config, config.length);
  await pushManifest(origin, repository, '1', { digest: digestOf(manifest), bytes: manifest }, manifestType);
}

async function push(
  origin: string,
  repository: string,
  digest: string,
  source: string | Buffer,
  sizeBytes: number,
): Promise<void> {
  if ((await fetch(`${origin}/v2/${repository}/blobs/${digest}`, { method: 'HEAD' })).ok) return;
  const begun = await fetch(`${origin}/v2/${repository}/blobs/uploads/`, { method: 'POST' });
  const location = new URL(begun.headers.get('location') ?? '', origin);
  location.searchParams.set('digest', digest);
  const body = typeof source === 'string' ? Readable.toWeb(createReadStream(source)) : new Uint8Array(source);
  const init = { method: 'PUT', body, duplex: 'half', headers: { 'content-length': String(sizeBytes) } };
  const answer = await fetch(location, init as RequestInit);
  if (!answer.ok) throw new Error(`the bench's registry refused ${digest}: ${answer.status}`);
}
