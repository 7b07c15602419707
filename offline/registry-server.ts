import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CortexError } from '../contract/errors.ts';
import type { BillImage, BlobPlace } from './bill.ts';
import { digestPattern, familiarName, parseImageReference } from './image-reference.ts';
import type { PackageReader } from './package-reader.ts';

/** What a registry is asked for, under one name. */
export interface ServedImage {
  /** The manifest's bytes; by tag and by digest. */
  readonly manifest: { readonly bytes: Buffer; readonly mediaType: string; readonly digest: string };
  /** Null where it does not have the blob. */
  readonly blob: (digest: string) => ServedBlob | null;
}

export interface ServedBlob {
  /** Null where only the end tells. */
  readonly sizeBytes: number | null;
  readonly open: (from: number, to: number) => AsyncIterable<Buffer>;
}

export interface RegistryServerOptions {
  readonly find: (repository: string, reference: string | null) => Promise<ServedImage | null> | ServedImage | null;
  readonly onBytes?: (repository: string, bytes: number) => void;
  /** A package that turned out to be damaged while it was read. */
  readonly onError?: (repository: string, error: unknown) => void;
  readonly onRequest?: (line: string) => void;
}

const path =
  /^\/v2\/(?<name>[a-z0-9][a-z0-9._:/-]{0,254}?)\/(?<kind>manifests|blobs)\/(?<reference>[\w][\w.:+-]{0,255})$/i;

/** The reading half of OCI distribution over a package: nothing can be written, nothing beside the package is shown. */
export class RegistryServer {
  readonly #server: Server;
  readonly #options: RegistryServerOptions;

  constructor(options: RegistryServerOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => {
      void this.#answer(request, response).catch(() => response.destroy());
    });
    // Nothing asks for long: what holds a connection open without a request is let go.
    this.#server.headersTimeout = 30_000;
  }

  async listen(host: string, port: number): Promise<{ host: string; port: number }> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, resolve);
    });
    const address = this.#server.address() as AddressInfo;
    return { host, port: address.port };
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    this.#options.onRequest?.(`${method} ${url}`);
    response.setHeader('docker-distribution-api-version', 'registry/2.0');
    if (method !== 'GET' && method !== 'HEAD')
      return refuse(response, 405, 'UNSUPPORTED', 'this registry is read-only');
    const target = url.split('?')[0] ?? '';
    if (target === '/v2/' || target === '/v2') return void response.writeHead(200, { 'content-length': 2 }).end('{}');
    const { name = '', kind = '', reference = '' } = path.exec(target)?.groups ?? {};
    const image = name === '' ? null : await this.#options.find(name, kind === 'manifests' ? reference : null);
    if (image === null) return refuse(response, 404, 'NAME_UNKNOWN', 'not in this package');
    if (kind === 'manifests') return this.#manifest(image, method, reference, response);
    const blob = digestPattern.test(reference) ? image.blob(reference) : null;
    if (blob === null) return refuse(response, 404, 'BLOB_UNKNOWN', 'not in this package');
    return this.#blob(blob, name, reference, request, response);
  }

  #manifest({ manifest }: ServedImage, method: string, reference: string, response: ServerResponse): void {
    if (reference.startsWith('sha256:') && reference !== manifest.digest) {
      refuse(response, 404, 'MANIFEST_UNKNOWN', 'not in this package');
      return;
    }
    response.writeHead(200, {
      'content-type': manifest.mediaType,
      'content-length': manifest.bytes.length,
      'docker-content-digest': manifest.digest,
    });
    response.end(method === 'HEAD' ? undefined : manifest.bytes);
  }

  async #blob(
    blob: ServedBlob,
    name: string,
    digest: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const range = rangeOf(request.headers.range, blob.sizeBytes);
    response.setHeader('docker-content-digest', digest);
    response.setHeader('content-type', 'application/octet-stream');
    if (blob.sizeBytes !== null) response.setHeader('accept-ranges', 'bytes');
    if (range === 'outside') {
      response.writeHead(416, { 'content-range': `bytes */${blob.sizeBytes}` }).end();
      return;
    }
    const from = range?.from ?? 0;
    const to = range?.to ?? blob.sizeBytes ?? Number.POSITIVE_INFINITY;
    if (range !== null) response.setHeader('content-range', `bytes ${from}-${to - 1}/${blob.sizeBytes}`);
    if (Number.isFinite(to)) response.setHeader('content-length', to - from);
    response.writeHead(range === null ? 200 : 206);
    if (request.method === 'HEAD') return void response.end();
    try {
      // Not in object mode: that would read sixteen chunks ahead.
      await pipeline(Readable.from(this.#counted(blob.open(from, to), name), { objectMode: false }), response);
    } catch (error) {
      response.destroy();
      if (error instanceof CortexError) this.#options.onError?.(name, error);
    }
  }

  async *#counted(source: AsyncIterable<Buffer>, name: string): AsyncGenerator<Buffer> {
    for await (const bytes of source) {
      this.#options.onBytes?.(name, bytes.length);
      yield bytes;
    }
  }
}

function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  const body = JSON.stringify({ errors: [{ code, message }] });
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
    .end(body);
}

/** One range with a start, as clients of registries ask (RFC 9110, 14.1.2); others are answered with the whole. */
function rangeOf(
  header: string | undefined,
  sizeBytes: number | null,
): { from: number; to: number } | 'outside' | null {
  const [, first = '', last = ''] = /^bytes=(\d+)-(\d*)$/.exec(header ?? '') ?? [];
  if (first === '' || sizeBytes === null) return null;
  const from = Number(first);
  const to = last === '' ? sizeBytes : Math.min(sizeBytes, Number(last) + 1);
  return from >= sizeBytes || from >= to ? 'outside' : { from, to };
}

/** The package's images under the names that a LAN asks for: with and without their registry, by tag and by digest. */
export function serveExactly(reader: PackageReader): RegistryServerOptions['find'] {
  const byName = new Map<string, BillImage[]>();
  for (const image of reader.bill.images) {
    const reference = parseImageReference(image.reference);
    const names = [
      reference.repository,
      `${reference.registry}/${reference.repository}`,
      familiarName(reference).replace(/:[^:/]*$/, ''),
    ];
    for (const name of new Set(names)) byName.set(name, [...(byName.get(name) ?? []), image]);
  }
  return async (repository, wanted) => {
    const images = byName.get(repository) ?? [];
    const tagged = (image: BillImage) => parseImageReference(image.reference).tag === wanted;
    const image =
      images.find((one) => wanted === null || one.manifest_digest === wanted || one.index_digest === wanted) ??
      images.find(tagged);
    if (image === undefined) return null;
    const isWholeIndex = images.filter(tagged).length > 1 && image.index_digest !== null;
    const digest =
      wanted === image.index_digest || (isWholeIndex && tagged(image)) ? image.index_digest : image.manifest_digest;
    return {
      manifest: wanted === null ? noManifest : await readManifest(reader, image, digest ?? image.manifest_digest),
      blob: (blobDigest) => {
        const place = images
          .flatMap(({ blobs }) => blobs)
          .find((one) => one.digest === blobDigest && one.file !== null);
        return place === undefined ? null : servedBlob(reader, place);
      },
    };
  };
}

const noManifest = { bytes: Buffer.alloc(0), mediaType: '', digest: '' };

export const servedBlob = (reader: PackageReader, place: BlobPlace): ServedBlob => ({
  sizeBytes: place.sizeBytes,
  open: (from, to) => reader.blob(place.digest, from, Math.min(to, place.sizeBytes)),
});

async function readManifest(reader: PackageReader, image: BillImage, digest: string) {
  if (digest !== image.manifest_digest) {
    const bytes = await collect(reader.stream(`evidence/${digest.replace(':', '-')}`));
    const mediaType = String(
      Object(JSON.parse(bytes.toString('utf8'))).mediaType ?? 'application/vnd.oci.image.index.v1+json',
    );
    return { bytes, mediaType, digest };
  }
  return { bytes: await readBlob(reader, digest), mediaType: image.manifest_media_type, digest };
}

/** A small blob of the package, whole. */
export async function readBlob(reader: PackageReader, digest: string): Promise<Buffer> {
  return collect(reader.blob(digest));
}

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}
