import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { rootCertificates } from 'node:tls';
import { type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';
import { canonicalName, type ImageReference } from './image-reference.ts';
import { registryCredentials } from './registry-auth.ts';

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

export const attempts = 5;

/** How registries are reached: mirrors, proxy, authorities, sign-in, patience and redirects. */
export class RegistryTransport {
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

  get isStopped(): boolean {
    return this.#options.signal?.aborted ?? false;
  }

  /** GET with sign-in, patience and a helpful end. */
  async get(
    reference: ImageReference,
    path: string,
    headers: Record<string, string>,
  ): Promise<Dispatcher.ResponseData> {
    const { url, repository } = this.#place(reference);
    const target = `${url}/v2/${repository}/${path}`;
    const signIns = { left: 2 };
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.#once(reference, target, repository, headers, attempt, signIns);
      if (answer !== null) return answer;
    }
  }

  async #once(
    reference: ImageReference,
    target: string,
    repository: string,
    headers: Record<string, string>,
    attempt: number,
    signIns: { left: number },
  ) {
    const image = canonicalName(reference);
    const authorization = this.#tokens.get(`${reference.registry}/${repository}`);
    let answer: Dispatcher.ResponseData;
    try {
      answer = await this.#request(target, { ...headers, ...(authorization === undefined ? {} : { authorization }) });
    } catch (cause) {
      if (this.#options.signal?.aborted || attempt >= attempts) throw this.unreachable(reference, cause);
      await pause(attempt);
      return null;
    }
    const { statusCode: status } = answer;
    if (status < 300) return answer;
    const text = (await answer.body.text()).slice(0, 500);
    // Tokens are short-lived: one that ran out during a long pull is fetched anew, once for all streams. A second new one is
    // refused only where the account may not read the image.
    if (status === 401 && signIns.left > 0) {
      signIns.left -= 1;
      await this.#renew(reference, repository, authorization, String(answer.headers['www-authenticate'] ?? ''));
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
  ): Promise<void> {
    const key = `${reference.registry}/${repository}`;
    const known = this.#tokens.get(key);
    if (known !== undefined && known !== refused) return;
    const running = this.#signIns.get(key) ?? this.#signIn(reference, repository, challenge);
    this.#signIns.set(key, running);
    try {
      this.#tokens.set(key, await running);
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

  unreachable(reference: ImageReference, cause: unknown): Error {
    if (cause instanceof CortexError) return cause;
    if (this.#options.signal?.aborted) return new CortexError('interrupted', {}, { cause });
    const reason = cause instanceof Error ? cause.message || String(Object(cause).code) : String(cause);
    return new CortexError('registry_unreachable', { registry: this.#place(reference).url, reason }, { cause });
  }
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

/** Longer with every attempt, or as long as the registry asks for. */
export async function pause(attempt: number, askedSeconds = Number.NaN, signal?: AbortSignal): Promise<void> {
  const ms = Number.isFinite(askedSeconds) ? askedSeconds * 1000 : 500 * 2 ** (attempt - 1);
  await sleep(Math.min(ms, longestPauseMs), undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}

/** Retry-After is a number of seconds or a date (RFC 9110, 10.2.3). */
function secondsOf(header: unknown): number {
  if (typeof header !== 'string') return Number.NaN;
  const seconds = Number(header);
  return Number.isNaN(seconds) ? Math.max(0, (Date.parse(header) - Date.now()) / 1000) : seconds;
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
