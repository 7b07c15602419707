import { setTimeout as sleep } from 'node:timers/promises';
import { type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import { CortexError } from '../contract/errors.ts';
import { readUpTo } from './read-up-to.ts';

export interface HubOptions {
  /** HF_ENDPOINT */
  readonly endpoint: string;
  readonly token?: string;
  readonly signal?: AbortSignal;
}

/** A successful answer, after redirects. */
export interface HubAnswer {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData['headers'];
  readonly body: Dispatcher.ResponseData['body'];
  /**
   * What the endpoint itself told of the file behind a redirect. The ETag of the place that it leads to is of no use: on
   * huggingface.co it looks like a SHA-256 and is another hash.
   */
  readonly linked: { readonly hash: string | null; readonly sizeBytes: number | null };
}

type Found = Dispatcher.ResponseData & { readonly linked: HubAnswer['linked']; readonly elsewhere: string | null };

const attempts = 5;
const longestPauseMs = 30_000;
const mostHops = 5;
const refusalLimitBytes = 16 * 1024;
const answerLimitBytes = 32 * 1024 * 1024;

/** How long to wait before the next try: what the hub asks for (seconds or a date, RFC 9110), or twice as long each time. */
export function pauseMs(attempt: number, retryAfter: unknown, now = Date.now()): number {
  const text = typeof retryAfter === 'string' && retryAfter.trim() !== '' ? retryAfter : 'nothing';
  const seconds = Number(text);
  const asked = Number.isNaN(seconds) ? Date.parse(text) - now : seconds * 1000;
  const ms = Number.isNaN(asked) ? 500 * 2 ** (attempt - 1) : asked;
  return Math.min(Math.max(0, ms), longestPauseMs);
}

/** Asks a hub, with patience, and with the token for nobody else. */
export class HubTransport {
  readonly #options: HubOptions;
  readonly #dispatcher: Dispatcher = new EnvHttpProxyAgent({ headersTimeout: 60_000, bodyTimeout: 60_000 });

  constructor(options: HubOptions) {
    this.#options = options;
  }

  close(): Promise<void> {
    return this.#dispatcher.destroy();
  }

  /** A small answer as JSON; null where it is none. */
  async json(model: string, path: string): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      const { status, body } = await this.get(model, path, {});
      try {
        const bytes = await readUpTo(body, answerLimitBytes + 1);
        if (bytes.length > answerLimitBytes)
          throw new CortexError('hub_refused', { model, status, reason: 'its answer is too long to be one' });
        return parseJson(bytes);
      } catch (cause) {
        await this.recover(cause, attempt);
      }
    }
  }

  /** GET below the endpoint. @throws CortexError hub_refused, hub_unreachable, interrupted, setting_invalid */
  async get(model: string, path: string, headers: Record<string, string>): Promise<HubAnswer> {
    const target = new URL(`${shown(this.#endpoint()).replace(/\/+$/, '')}${path}`);
    const token = this.#token();
    const authorization = token === null ? {} : { authorization: `Bearer ${token}` };
    for (let attempt = 1; ; attempt += 1) {
      const found = await this.#request(model, target, { ...headers, ...authorization }).catch((cause: unknown) =>
        this.recover(cause, attempt),
      );
      if (found === undefined) continue;
      const { statusCode: status, headers: told, body, linked, elsewhere } = found;
      if (status < 300) return { status, headers: told, body, linked };
      const reason = this.#reasonOf(told['x-error-message'], await readUpTo(body, refusalLimitBytes).catch(() => null));
      if ((status !== 429 && status < 500) || attempt >= attempts)
        throw new CortexError('hub_refused', {
          model,
          status,
          reason: elsewhere === null ? reason : `${elsewhere}, which keeps its files, says ${reason}`,
        });
      await this.#pause(pauseMs(attempt, told['retry-after']));
    }
  }

  /** Waits before the next try after a failure. @throws CortexError where there is none */
  async recover(cause: unknown, attempt: number): Promise<undefined> {
    if (cause instanceof CortexError) throw cause;
    if (this.#options.signal?.aborted) throw new CortexError('interrupted', {}, { cause });
    if (attempt < attempts) return this.#pause(pauseMs(attempt, null));
    const message = cause instanceof Error ? cause.message || String(Object(cause).code) : String(cause);
    const reason = this.#presentable(message);
    throw new CortexError('hub_unreachable', { endpoint: shown(this.#endpoint()), reason }, { cause });
  }

  /** Follows redirects; whoever they lead to gets no token, and none after them. */
  async #request(model: string, start: URL, headers: Record<string, string>): Promise<Found> {
    const { authorization: _token, ...plain } = headers;
    let target = start;
    let isHome = true;
    let linked: HubAnswer['linked'] = { hash: null, sizeBytes: null };
    for (let hop = 0; ; hop += 1) {
      const found: Dispatcher.ResponseData = await request(target, {
        dispatcher: this.#dispatcher,
        headers: isHome ? headers : plain,
        signal: this.#options.signal ?? null,
      });
      if (isHome) linked = linkedBy(found.headers, linked);
      const { location } = found.headers;
      if (found.statusCode < 300 || found.statusCode >= 400 || typeof location !== 'string' || hop === mostHops)
        return { ...found, body: found.body, linked, elsewhere: isHome ? null : target.host };
      await found.body.dump();
      const next: URL | null = URL.canParse(location, target.href) ? new URL(location, target) : null;
      if (next === null || !/^https?:$/.test(next.protocol))
        throw new CortexError('hub_refused', {
          model,
          status: found.statusCode,
          reason: 'it leads to something that is no http(s) address',
        });
      isHome &&= next.origin === start.origin;
      target = next;
    }
  }

  #endpoint(): URL {
    const { endpoint } = this.#options;
    const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
    if (url !== null && /^https?:$/.test(url.protocol)) return url;
    const value = this.#presentable(endpoint.replace(/\/\/[^/]*@/, '//'));
    throw new CortexError('setting_invalid', { variable: 'HF_ENDPOINT', value, allowed: 'http(s)://host', source });
  }

  #token(): string | null {
    const token = this.#options.token?.trim() ?? '';
    if (token === '') return null;
    if (/^[\x21-\x7e]+$/.test(token)) return token;
    const allowed = 'letters, digits and signs without spaces';
    throw new CortexError('setting_invalid', { variable: 'HF_TOKEN', value: '(kept secret)', allowed, source });
  }

  #reasonOf(header: unknown, body: Buffer | null): string {
    const text = typeof header === 'string' && header !== '' ? header : (body?.toString('utf8') ?? '');
    return this.#presentable(text) || 'no reason given';
  }

  /** Words from outside: no control characters for the terminal, and not the token, should they repeat it. */
  #presentable(text: string): string {
    const token = this.#options.token?.trim() ?? '';
    // Not cut out but held back whole: a part that was cut off at the limit would stay.
    if (token !== '' && text.includes(token)) return 'a reason that is not shown because the token stands in it';
    return text
      .replace(/\p{Cc}+/gu, ' ')
      .trim()
      .slice(0, 300);
  }

  async #pause(ms: number): Promise<undefined> {
    const { signal } = this.#options;
    await sleep(ms, undefined, signal === undefined ? {} : { signal }).catch((cause: unknown) => {
      throw new CortexError('interrupted', {}, { cause });
    });
  }
}

const source = 'the environment or backend/.env';

/** Some endpoints carry a password. */
const shown = ({ origin, pathname }: URL) => `${origin}${pathname === '/' ? '' : pathname}`;

function linkedBy(headers: Dispatcher.ResponseData['headers'], before: HubAnswer['linked']): HubAnswer['linked'] {
  const { 'x-linked-etag': etag, 'x-linked-size': size } = headers;
  return {
    hash: typeof etag === 'string' ? etag.replace(/^W\//, '').replaceAll('"', '') : before.hash,
    sizeBytes: typeof size === 'string' && /^\d+$/.test(size) ? Number(size) : before.sizeBytes,
  };
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
}
