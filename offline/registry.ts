import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';
import { canonicalName, digestPattern, type ImageReference } from './image-reference.ts';

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
}

export interface RegistryOptions {
  /** CORTEX_REGISTRY_MIRRORS: `docker.io=http://127.0.0.1:5055/docker.io,…` */
  readonly mirrors?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Where docker login keeps credentials. */
  readonly dockerConfigFile?: string;
}

const manifestLimitBytes = 4 * 1024 * 1024;
const configLimitBytes = 8 * 1024 * 1024;
const attempts = 5;
const sha256 = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** Reads images straight from registries (OCI distribution), without a Docker Engine. */
export class RegistryClient {
  readonly #options: RegistryOptions;
  readonly #mirrors: ReadonlyMap<string, URL>;
  readonly #dispatcher: Dispatcher = new EnvHttpProxyAgent({ headersTimeout: 60_000, bodyTimeout: 60_000 });
  readonly #tokens = new Map<string, string>();

  constructor(options: RegistryOptions = {}) {
    this.#options = options;
    this.#mirrors = parseMirrors(options.mirrors ?? '');
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
    const configBytes = await this.#smallBlob(reference, config);
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
    };
  }

  /**
   * A blob's bytes. A connection that breaks is taken up where it stopped. The digest is not checked here: who writes the
   * bytes hashes them on the way.
   */
  async *blob(reference: ImageReference, { digest, size }: Descriptor): AsyncGenerator<Buffer> {
    let received = 0;
    for (let attempt = 1; received < size || size === 0; attempt += 1) {
      try {
        const range = received === 0 ? {} : { range: `bytes=${received}-` };
        const { statusCode, body } = await this.#get(reference, `blobs/${digest}`, range);
        // A registry that ignores Range sends the blob from its start.
        let skip = statusCode === 206 ? 0 : received;
        for await (const chunk of body) {
          const bytes: Buffer = chunk;
          const fresh = skip >= bytes.length ? null : bytes.subarray(skip);
          skip = Math.max(0, skip - bytes.length);
          if (fresh === null) continue;
          received += fresh.length;
          attempt = 1;
          yield fresh;
        }
        if (received >= size) return;
        throw new Error('the connection ended early');
      } catch (cause) {
        if (cause instanceof CortexError || this.#options.signal?.aborted || attempt >= attempts)
          throw this.#unreachable(reference, cause);
        await pause(attempt);
      }
    }
  }

  async #smallBlob(reference: ImageReference, wanted: Descriptor): Promise<Buffer> {
    if (wanted.size > configLimitBytes)
      throw new CortexError('media_type_unknown', { image: canonicalName(reference), mediaType: wanted.mediaType });
    const chunks: Buffer[] = [];
    for await (const chunk of this.blob(reference, wanted)) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    this.#checkDigest(`the configuration of ${canonicalName(reference)}`, wanted.digest, bytes);
    return bytes;
  }

  async #manifest(reference: ImageReference, tagOrDigest: string) {
    const { headers, body } = await this.#get(reference, `manifests/${tagOrDigest}`, {
      accept: manifestTypes.join(', '),
    });
    const bytes = Buffer.from(await body.arrayBuffer());
    const image = canonicalName(reference);
    if (bytes.length > manifestLimitBytes)
      throw new CortexError('media_type_unknown', { image, mediaType: 'an oversized manifest' });
    if (tagOrDigest.startsWith('sha256:')) this.#checkDigest(`the manifest of ${image}`, tagOrDigest, bytes);
    const told = headers['docker-content-digest'];
    if (typeof told === 'string' && digestPattern.test(told))
      this.#checkDigest(`the manifest of ${image}`, told, bytes);
    const json: unknown = JSON.parse(bytes.toString('utf8'));
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
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.#once(reference, target, repository, headers, attempt);
      if (answer !== null) return answer;
    }
  }

  async #once(
    reference: ImageReference,
    target: string,
    repository: string,
    headers: Record<string, string>,
    attempt: number,
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
    // Tokens are short-lived: one that ran out during a long pull is fetched anew.
    if (status === 401 && attempt < attempts) {
      this.#tokens.set(
        `${reference.registry}/${repository}`,
        await this.#signIn(reference, repository, String(answer.headers['www-authenticate'] ?? '')),
      );
      return null;
    }
    if (status === 404) throw new CortexError('image_not_in_registry', { image });
    if ((status === 429 || status >= 500) && attempt < attempts) {
      await pause(attempt, Number(answer.headers['retry-after']));
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

  async #signIn(reference: ImageReference, repository: string, challenge: string): Promise<string> {
    const basic = await this.#credentials(reference.registry);
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

  async #credentials(registry: string): Promise<string | null> {
    const path = this.#options.dockerConfigFile ?? join(homedir(), '.docker/config.json');
    const text = await readFile(path, 'utf8').catch(() => '{}');
    const { auths } = z
      .object({ auths: z.record(z.string(), z.object({ auth: z.string().optional() })).optional() })
      .parse(JSON.parse(text));
    const names =
      registry === 'docker.io' ? ['https://index.docker.io/v1/', 'docker.io'] : [registry, `https://${registry}`];
    return names.map((name) => auths?.[name]?.auth).find((auth) => auth !== undefined) ?? null;
  }

  #place({ registry, repository }: ImageReference): { url: string; repository: string } {
    const mirror = this.#mirrors.get(registry);
    if (mirror !== undefined) {
      const prefix = mirror.pathname.replace(/^\/|\/$/g, '');
      return { url: mirror.origin, repository: prefix === '' ? repository : `${prefix}/${repository}` };
    }
    if (registry === 'docker.io') return { url: 'https://registry-1.docker.io', repository };
    // As Docker does: plain HTTP on loopback only.
    const scheme = /^(localhost|127\.\d+\.\d+\.\d+)(:|$)/.test(registry) ? 'http' : 'https';
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

function pause(attempt: number, askedSeconds = Number.NaN): Promise<void> {
  const ms = Number.isFinite(askedSeconds) ? askedSeconds * 1000 : 500 * 2 ** (attempt - 1);
  return new Promise((resolve) => setTimeout(resolve, Math.min(ms, longestPauseMs)));
}
