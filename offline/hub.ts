import { setTimeout as sleep } from 'node:timers/promises';
import { type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';

export interface HubOptions {
  /** HF_ENDPOINT */
  readonly endpoint: string;
  readonly token?: string;
  readonly signal?: AbortSignal;
}

export interface HubFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** Of files that the hub keeps apart from git (LFS). */
  readonly sha256: string | null;
  /** SHA-1 of git's blob, of the others. */
  readonly gitBlobId: string | null;
}

export interface HubModel {
  readonly name: string;
  /** The commit. */
  readonly revision: string;
  readonly licence: string | null;
  readonly files: readonly HubFile[];
}

const modelName = /^[\w][\w.-]{0,95}(\/[\w][\w.-]{0,95})?$/;
const revisionName = /^[\w][\w./-]{0,120}$/;
const filePath = /^(?!\.\.?(\/|$))[^\\\p{Cc}/][^\\\p{Cc}]{0,511}$/u;

const answer = z.object({
  sha: z.string().regex(/^[0-9a-f]{40,64}$/),
  cardData: z.looseObject({ license: z.union([z.string(), z.array(z.string())]).optional() }).nullish(),
  siblings: z
    .array(
      z.object({
        rfilename: z
          .string()
          .refine(
            (path) =>
              filePath.test(path) && path.split('/').every((part) => part !== '' && part !== '..' && part !== '.'),
            'not a plain path',
          ),
        size: z.number().int().min(0),
        blobId: z.string().optional(),
        lfs: z.object({ sha256: z.string().regex(/^[0-9a-f]{64}$/) }).nullish(),
      }),
    )
    .max(10_000),
});

const attempts = 5;
const longestPauseMs = 30_000;

/** `org/name@revision`; the revision defaults to main. @throws CortexError option_invalid */
export function parseHubReference(text: string): { name: string; revision: string } {
  const at = text.indexOf('@');
  const name = at === -1 ? text : text.slice(0, at);
  const revision = at === -1 ? 'main' : text.slice(at + 1);
  if (modelName.test(name) && revisionName.test(revision) && !revision.includes('..')) return { name, revision };
  throw new CortexError('option_invalid', {
    option: '--model',
    value: `hf:${text.slice(0, 200)}`,
    allowed: 'hf:org/name or hf:org/name@revision',
  });
}

/** Reads models from a Hugging Face-compatible hub. */
export class HubClient {
  readonly #options: HubOptions;
  readonly #dispatcher: Dispatcher = new EnvHttpProxyAgent({ headersTimeout: 60_000, bodyTimeout: 60_000 });

  constructor(options: HubOptions) {
    this.#options = options;
  }

  close(): Promise<void> {
    return this.#dispatcher.destroy();
  }

  /** The model's files at a commit. @throws CortexError hub_refused, hub_unreachable */
  async resolve(name: string, revision: string): Promise<HubModel> {
    const path = `/api/models/${name}/revision/${encodeURIComponent(revision)}?blobs=true`;
    const { body } = await this.#get(name, path, {});
    const parsed = answer.safeParse(await body.json().catch(() => null));
    if (!parsed.success) {
      const reason = `its answer can't be read (${parsed.error.issues[0]?.path.join('.')}: ${parsed.error.issues[0]?.message})`;
      throw new CortexError('hub_refused', { model: name, status: 200, reason });
    }
    const { sha, cardData, siblings } = parsed.data;
    const licence = cardData?.license;
    return {
      name,
      revision: sha,
      licence: Array.isArray(licence) ? licence.join(', ') : (licence ?? null),
      files: siblings.map(({ rfilename, size, blobId, lfs }) => ({
        path: rfilename,
        sizeBytes: size,
        sha256: lfs?.sha256 ?? null,
        gitBlobId: lfs ? null : (blobId ?? null),
      })),
    };
  }

  /** The bytes of a file from `from` up to `to`; a connection that breaks is taken up where it stopped. */
  async *open(model: HubModel, file: HubFile, from: number, to: number): AsyncGenerator<Buffer> {
    const path = `/${model.name}/resolve/${model.revision}/${file.path.split('/').map(encodeURIComponent).join('/')}`;
    let at = from;
    for (let attempt = 1; at < to; attempt += 1) {
      try {
        const { statusCode, headers, body } = await this.#get(model.name, path, { range: `bytes=${at}-${to - 1}` });
        const told = Number(/\/(\d+)$/.exec(String(headers['content-range'] ?? ''))?.[1] ?? Number.NaN);
        if (statusCode === 206 && Number.isFinite(told) && told !== file.sizeBytes) {
          await body.dump();
          throw new CortexError('hub_refused', {
            model: model.name,
            status: 206,
            reason: `${file.path} has ${told} bytes instead of ${file.sizeBytes}`,
          });
        }
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
        if (cause instanceof CortexError) throw cause;
        if (this.#options.signal?.aborted) throw new CortexError('interrupted', {}, { cause });
        if (attempt >= attempts) throw this.#unreachable(cause);
        await this.#pause(attempt);
      }
    }
  }

  async #get(model: string, path: string, headers: Record<string, string>): Promise<Dispatcher.ResponseData> {
    const target = `${this.#options.endpoint.replace(/\/$/, '')}${path}`;
    const { token } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      let found: Dispatcher.ResponseData;
      try {
        found = await this.#request(target, {
          ...headers,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        });
      } catch (cause) {
        if (this.#options.signal?.aborted) throw new CortexError('interrupted', {}, { cause });
        if (attempt >= attempts) throw this.#unreachable(cause);
        await this.#pause(attempt);
        continue;
      }
      const { statusCode: status } = found;
      if (status < 300) return found;
      const reason = (await found.body.text()).slice(0, 300);
      if ((status === 429 || status >= 500) && attempt < attempts) {
        await this.#pause(attempt, Number(found.headers['retry-after']));
        continue;
      }
      throw new CortexError('hub_refused', { model, status, reason: reason || 'no reason given' });
    }
  }

  /** Weights live on other hosts: they are followed there, without the token. */
  async #request(target: string, headers: Record<string, string>, hops = 5): Promise<Dispatcher.ResponseData> {
    const found = await request(target, {
      dispatcher: this.#dispatcher,
      headers,
      signal: this.#options.signal ?? null,
    });
    const { location } = found.headers;
    if (found.statusCode < 300 || found.statusCode >= 400 || typeof location !== 'string' || hops === 0) return found;
    await found.body.dump();
    const next = new URL(location, target);
    const { authorization: _token, ...plain } = headers;
    return this.#request(next.href, next.origin === new URL(target).origin ? headers : plain, hops - 1);
  }

  #unreachable(cause: unknown): CortexError {
    const reason = cause instanceof Error ? cause.message || String(Object(cause).code) : String(cause);
    return new CortexError('hub_unreachable', { endpoint: this.#options.endpoint, reason }, { cause });
  }

  async #pause(attempt: number, askedSeconds = Number.NaN): Promise<void> {
    const ms = Number.isFinite(askedSeconds) ? askedSeconds * 1000 : 500 * 2 ** (attempt - 1);
    const { signal } = this.#options;
    await sleep(Math.min(ms, longestPauseMs), undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  }
}
