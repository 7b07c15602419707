import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { rootCertificates } from 'node:tls';
import { type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';
import { canonicalName, digestPattern, type ImageReference } from './image-reference.ts';
import { registryCredentials } from './registry-auth.ts';

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

export interface RegistryOptions {
  /** CORTEX_REGISTRY_MIRRORS: `docker.io=http://127.0.0.1:5055/docker.io,…` */
  readonly mirrors?: string | undefined;
  /** CORTEX_INSECURE_REGISTRIES: `host:port,…` that are asked over plain HTTP. Loopback always is, as in Docker. */
  readonly insecure?: string | undefined;
  /** CORTEX_REGISTRY_CA: a PEM file of authorities beside the system's. */
  readonly caFile?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Where docker login keeps credentials. */
  readonly dockerConfigFile?: string;
  /** A registry asked for patience (429, Retry-After). */
  readonly onThrottled?: (waitMs: number) => void;
}

/** The options that stand in the environment or backend/.env. */
export const registrySettings = (env: Readonly<Record<string, string | undefined>>): RegistryOptions => ({
  mirrors: env.CORTEX_REGISTRY_MIRRORS,
  insecure: env.CORTEX_INSECURE_REGISTRIES,
  caFile: env.CORTEX_REGISTRY_CA,
});

const manifestLimitBytes = 4 * 1024 * 1024;
const configLimitBytes = 8 * 1024 * 1024;
const evidenceLimitBytes = configLimitBytes;
const attempts = 5;
const sha256 = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** Reads images straight from registries (OCI distribution), without a Docker Engine. */
export class RegistryClient {
  readonly #options: RegistryOptions;
  readonly #mirrors: ReadonlyMap<string, URL>;
  readonly #insecure: ReadonlySet<string>;
  readonly #dispatcher: Dispatcher;
  readonly #tokens = new Map<string, string>();
  readonly #signIns = new Map<string, Promise<string>>();

  constructor(options: RegistryOptions = {}) {
    this.#options = options;
    this.#mirrors = parseMirrors(options.mirrors ?? '');
    this.#insecure = new Set((options.insecure ?? '').split(',').map((name) => name.trim()));
    const tls = options.caFile ? { ca: [...rootCertificates, readAuthorities(options.caFile)] } : {};
    this.#dispatcher = new EnvHttpProxyAgent({
      headersTimeout: 60_000,
      bodyTimeout: 60_000,
      connect: tls,
      requestTls: tls,
    });
  }

  close(): Promise<void> {
    return this.#dispatcher.destroy();
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
        const { statusCode, body } = await this.#get(reference, `blobs/${digest}`, range);
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
        if (cause instanceof CortexError || this.#options.signal?.aborted || attempt >= attempts)
          throw this.#unreachable(reference, cause);
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
    const { statusCode, body } = await this.#get(reference, `blobs/${wanted.digest}`, {
      range: `bytes=0-${wanted.size - 1}`,
    });
    const bytes = await readUpTo(body, wanted.size);
    this.#checkDigest(`the configuration of ${image}`, wanted.digest, bytes);
    return { bytes, splittable: statusCode === 206 };
  }

  async #manifest(reference: ImageReference, tagOrDigest: string, kind: 'manifests' | 'referrers' = 'manifests') {
    const { headers, body } = await this.#get(reference, `${kind}/${tagOrDigest}`, {
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

  /** GET with sign-in, patience and a helpful end. */
  async #get(
    reference: ImageReference,
    path: string,
    headers: Record<string, string>,
  ): Promise<Dispatcher.ResponseData> {
    const { url, repository } = this.#place(reference);
    const target = `${url}/v2/${repository}/${path}`;
    const once: { token?: string } = {};
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.#once(reference, target, repository, headers, attempt, once);
      if (answer !== null) return answer;
    }
  }

  async #once(
    reference: ImageReference,
    target: string,
    repository: string,
    headers: Record<string, string>,
    attempt: number,
    once: { token?: string },
  ) {
    const image = canonicalName(reference);
    const authorization = this.#tokens.get(`${reference.registry}/${repository}`);
    let answer: Dispatcher.ResponseData;
    try {
      answer = await this.#request(target, { ...headers, ...(authorization === undefined ? {} : { authorization }) });
    } catch (cause) {
      if (this.#options.signal?.aborted || attempt >= attempts) throw this.#unreachable(reference, cause);
      await pause(attempt);
      return null;
    }
    const { statusCode: status } = answer;
    if (status < 300) return answer;
    const text = (await answer.body.text()).slice(0, 500);
    // Tokens are short-lived: one that ran out during a long pull is fetched anew, once for all streams. One that was fetched
    // for this very request and is refused stays refused.
    if (status === 401 && attempt < attempts && (authorization === undefined || authorization !== once.token)) {
      once.token = await this.#renew(
        reference,
        repository,
        authorization,
        String(answer.headers['www-authenticate'] ?? ''),
      );
      return null;
    }
    if (status === 404) throw new CortexError('image_not_in_registry', { image });
    if ((status === 429 || status >= 500) && attempt < attempts) {
      const askedSeconds = secondsOf(answer.headers['retry-after']);
      if (status === 429) this.#options.onThrottled?.(Math.min((askedSeconds || 1) * 1000, longestPauseMs));
      await pause(attempt, askedSeconds, this.#options.signal);
      return null;
    }
    throw new CortexError('registry_refused', { image, status, reason: text || 'no reason given' });
  }

  /** Follows redirects (blobs often live elsewhere) without carrying the credentials along. */
  async #request(target: string, headers: Record<string, string>, hops = 5): Promise<Dispatcher.ResponseData> {
    const answer = await request(target, {
      dispatcher: this.#dispatcher,
      headers,
      signal: this.#options.signal ?? null,
    });
    const { location } = answer.headers;
    if (answer.statusCode < 300 || answer.statusCode >= 400 || typeof location !== 'string' || hops === 0)
      return answer;
    await answer.body.dump();
    const next = new URL(location, target);
    const { authorization: _secret, ...plain } = headers;
    return this.#request(next.href, next.origin === new URL(target).origin ? headers : plain, hops - 1);
  }

  /** A new token in the place of the one that was refused, unless another stream has fetched one in the meantime. */
  async #renew(
    reference: ImageReference,
    repository: string,
    refused: string | undefined,
    challenge: string,
  ): Promise<string> {
    const key = `${reference.registry}/${repository}`;
    const known = this.#tokens.get(key);
    if (known !== undefined && known !== refused) return known;
    const running = this.#signIns.get(key) ?? this.#signIn(reference, repository, challenge);
    this.#signIns.set(key, running);
    try {
      const token = await running;
      this.#tokens.set(key, token);
      return token;
    } finally {
      this.#signIns.delete(key);
    }
  }

  async #signIn(reference: ImageReference, repository: string, challenge: string): Promise<string> {
    const basic = await registryCredentials(reference.registry, this.#options.dockerConfigFile);
    if (/^basic/i.test(challenge) && basic !== null) return `Basic ${basic}`;
    const part = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(challenge)?.[1];
    const realm = part('realm');
    const refused = (reason: string) =>
      new CortexError('registry_refused', { image: canonicalName(reference), status: 401, reason });
    if (realm === undefined) throw refused('it wants a sign-in that is not known here');
    const url = new URL(realm);
    const service = part('service');
    if (service !== undefined) url.searchParams.set('service', service);
    url.searchParams.set('scope', part('scope') ?? `repository:${repository}:pull`);
    const answer = await this.#request(url.href, basic === null ? {} : { authorization: `Basic ${basic}` });
    const token = z
      .object({ token: z.string().optional(), access_token: z.string().optional() })
      .safeParse(await answer.body.json().catch(() => null));
    const value = token.data?.token ?? token.data?.access_token;
    if (value === undefined) throw refused('the sign-in was refused');
    return `Bearer ${value}`;
  }

  #place({ registry, repository }: ImageReference): { url: string; repository: string } {
    const mirror = this.#mirrors.get(registry);
    if (mirror !== undefined) {
      const prefix = mirror.pathname.replace(/^\/|\/$/g, '');
      return { url: mirror.origin, repository: prefix === '' ? repository : `${prefix}/${repository}` };
    }
    if (registry === 'docker.io') return { url: 'https://registry-1.docker.io', repository };
    const plain = this.#insecure.has(registry) || /^(localhost|127\.\d+\.\d+\.\d+)(:|$)/.test(registry);
    const scheme = plain ? 'http' : 'https';
    return { url: `${scheme}://${registry}`, repository };
  }

  #unreachable(reference: ImageReference, cause: unknown): Error {
    if (cause instanceof CortexError) return cause;
    if (this.#options.signal?.aborted) return new CortexError('interrupted', {}, { cause });
    const reason = cause instanceof Error ? cause.message || String(Object(cause).code) : String(cause);
    return new CortexError('registry_unreachable', { registry: this.#place(reference).url, reason }, { cause });
  }
}

function choose(manifests: z.infer<typeof imageIndex>['manifests'], image: string, platform: string): Descriptor {
  const nameOf = (entry: (typeof manifests)[number]) => `${entry.platform?.os}/${entry.platform?.architecture}`;
  const found = manifests.find((entry) => nameOf(entry) === platform);
  if (found !== undefined) return found;
  const available = manifests.map(nameOf).filter((name) => !name.includes('unknown') && !name.includes('undefined'));
  throw new CortexError('platform_missing', { image, platform, available: available.join(', ') || 'no platform' });
}

function parseMirrors(text: string): Map<string, URL> {
  const mirrors = new Map<string, URL>();
  for (const item of text.split(',').filter((part) => part.trim() !== '')) {
    const equals = item.indexOf('=');
    try {
      mirrors.set(item.slice(0, equals).trim(), new URL(item.slice(equals + 1).trim()));
    } catch (cause) {
      const allowed = 'registry=http(s)://host/prefix, several with commas between';
      throw new CortexError(
        'setting_invalid',
        { variable: 'CORTEX_REGISTRY_MIRRORS', value: text, allowed, source: 'the environment or backend/.env' },
        { cause },
      );
    }
  }
  return mirrors;
}

const longestPauseMs = 30_000;

async function pause(attempt: number, askedSeconds = Number.NaN, signal?: AbortSignal): Promise<void> {
  const ms = Number.isFinite(askedSeconds) ? askedSeconds * 1000 : 500 * 2 ** (attempt - 1);
  await sleep(Math.min(ms, longestPauseMs), undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}

/** Retry-After is a number of seconds or a date (RFC 9110, 10.2.3). */
function secondsOf(header: unknown): number {
  if (typeof header !== 'string') return Number.NaN;
  const seconds = Number(header);
  return Number.isNaN(seconds) ? Math.max(0, (Date.parse(header) - Date.now()) / 1000) : seconds;
}

async function readUpTo(body: AsyncIterable<unknown>, limitBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    if (!Buffer.isBuffer(chunk)) continue;
    chunks.push(chunk);
    length += chunk.length;
    if (length >= limitBytes) break;
  }
  return Buffer.concat(chunks).subarray(0, limitBytes);
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

function readAuthorities(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const allowed = 'a PEM file of certificates';
    const source = 'the environment or backend/.env';
    throw new CortexError(
      'setting_invalid',
      { variable: 'CORTEX_REGISTRY_CA', value: file, allowed, source },
      { cause },
    );
  }
}
