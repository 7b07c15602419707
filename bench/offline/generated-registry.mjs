// A registry whose image is made of seeded bytes as they are asked for, so that packages of any size can be packed without
// a disk full of layers. Started by sizes.mjs; sends { port } when it listens. Run: node bench/offline/generated-registry.mjs <size in GB>
import { createCipheriv, createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { blockBytes, paddingOf, tarHeader } from '../../dist/docker/tar.js';

const sliceBytes = 1 << 20;
const cipherBlockBytes = 16;
const largestLayerBytes = 2.5e9;
const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const sizeGb = Number(process.argv[2]);
const prefix = '/v2/bench/generated/';
const zeros = Buffer.alloc(sliceBytes);

/** @param {string | Buffer} bytes */
const digestOf = (bytes) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/**
 * A tar with one file that can't be compressed, as an uncompressed layer: its digest is its diff ID.
 * @typedef {{ key: Buffer, head: Buffer, bodyBytes: number, sizeBytes: number, digest: string }} Layer
 * @param {number} index @param {number} bodyBytes @returns {Layer}
 */
function makeLayer(index, bodyBytes) {
  const name = `generated-${sizeGb}-${index}`;
  const layer = {
    key: createHash('md5').update(name).digest(),
    head: tarHeader({ name: `opt/${name}.bin`, sizeBytes: bodyBytes }),
    bodyBytes,
    sizeBytes: blockBytes + bodyBytes + paddingOf(bodyBytes) + 2 * blockBytes,
    digest: '',
  };
  const hash = createHash('sha256');
  for (const bytes of slices(layer, 0, layer.sizeBytes)) hash.update(bytes);
  return { ...layer, digest: `sha256:${hash.digest('hex')}` };
}

/**
 * The layer's bytes from `from` up to `to`. AES in counter mode can begin at any of its blocks, so a range costs what is in it.
 * @param {Layer} layer @param {number} from @param {number} to
 */
function* slices({ key, head, bodyBytes }, from, to) {
  let at = from;
  if (at < Math.min(blockBytes, to)) {
    yield head.subarray(at, to);
    at = Math.min(blockBytes, to);
  }
  const bodyEnd = Math.min(to, blockBytes + bodyBytes);
  if (at < bodyEnd) {
    const counter = Buffer.alloc(cipherBlockBytes);
    const offset = at - blockBytes;
    counter.writeBigUInt64BE(BigInt(Math.floor(offset / cipherBlockBytes)), 8);
    const cipher = createCipheriv('aes-128-ctr', key, counter);
    cipher.update(zeros.subarray(0, offset % cipherBlockBytes));
    for (; at < bodyEnd; at += Math.min(sliceBytes, bodyEnd - at))
      yield cipher.update(zeros.subarray(0, Math.min(sliceBytes, bodyEnd - at)));
  }
  if (at < to) yield Buffer.alloc(to - at);
}

/** @param {Layer[]} layers */
function describe(layers) {
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: { Cmd: ['/none'] },
      rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
    }),
  );
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(config), size: config.length },
      layers: layers.map(({ digest, sizeBytes }) => ({
        mediaType: 'application/vnd.oci.image.layer.v1.tar',
        digest,
        size: sizeBytes,
      })),
    }),
  );
  return { config, manifest };
}

const count = Math.max(2, Math.ceil((sizeGb * 1e9) / largestLayerBytes));
const layers = Array.from({ length: count }, (_, index) => makeLayer(index, Math.floor((sizeGb * 1e9) / count)));
const { config, manifest } = describe(layers);

/** @param {string} path @returns {{ type: string, sizeBytes: number, bytes: (from: number, to: number) => Iterable<Buffer> } | null} */
function find(path) {
  /** @param {Buffer} whole @param {string} type */
  const fixed = (whole, type) => ({
    type,
    sizeBytes: whole.length,
    bytes: (/** @type {number} */ from, /** @type {number} */ to) => [whole.subarray(from, to)],
  });
  if (path === `${prefix}manifests/1` || path === `${prefix}manifests/${digestOf(manifest)}`)
    return fixed(manifest, manifestType);
  const digest = path.startsWith(`${prefix}blobs/`) ? path.slice(`${prefix}blobs/`.length) : '';
  if (digest === digestOf(config)) return fixed(config, 'application/octet-stream');
  const layer = layers.find((one) => one.digest === digest);
  if (layer === undefined) return null;
  return {
    type: 'application/octet-stream',
    sizeBytes: layer.sizeBytes,
    bytes: (from, to) => slices(layer, from, to),
  };
}

const server = createServer((request, response) => {
  const path = request.url?.split('?')[0] ?? '';
  if (path === '/v2/') return response.end('{}');
  const found = find(path);
  if (found === null) return response.writeHead(404).end();
  const asked = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const from = Number(asked?.[1] ?? 0);
  const to = asked?.[2] ? Math.min(Number(asked[2]) + 1, found.sizeBytes) : found.sizeBytes;
  if (from >= to) return response.writeHead(416).end();
  response.writeHead(asked === null ? 200 : 206, {
    'content-type': found.type,
    'content-length': to - from,
    'accept-ranges': 'bytes',
    ...(asked === null ? {} : { 'content-range': `bytes ${from}-${to - 1}/${found.sizeBytes}` }),
  });
  if (request.method === 'HEAD') return response.end();
  // A client that leaves in the middle ends its own answer, nothing else.
  pipeline(Readable.from(found.bytes(from, to)), response).catch(() => response.destroy());
});
// Ends with the bench, also when that one is killed.
process.once('disconnect', () => process.exit());
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null) process.send?.({ port: address.port });
});
