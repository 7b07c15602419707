import type { Readable } from 'node:stream';
import { Agent, type Dispatcher, request } from 'undici';
import type { z } from 'zod';
import { CortexError } from '../contract/errors.ts';

export interface Call {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD';
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** An object is sent as JSON, anything else as it is. */
  readonly json?: unknown;
  readonly body?: Readable | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** What is being done, for the error's text: `create the container x`. */
  readonly action: string;
}

export interface Answer {
  readonly status: number;
  readonly body: Dispatcher.ResponseData['body'];
}

// Minor versions of API 1: the oldest that has all that we use (Engine 20.10 speaks 1.41) and the newest that we know.
const oldestMinor = 41;
const newestMinor = 51;

/** One Engine's HTTP API over its unix socket or TCP address. */
export class Connection {
  readonly address: string;
  readonly #origin: string;
  readonly #agent: Agent;
  #apiVersion: string | null = null;

  constructor(host: string) {
    this.address = host;
    const url = new URL(host);
    const unix = url.protocol === 'unix:';
    this.#origin = unix ? 'http://docker' : `${url.protocol === 'tcp:' ? 'http:' : url.protocol}//${url.host}`;
    // Logs, events and pulls stay silent for long: no time limit on a body.
    this.#agent = new Agent({
      bodyTimeout: 0,
      headersTimeout: 0,
      ...(unix ? { connect: { socketPath: url.pathname } } : {}),
    });
  }

  /** Calls the API and gives the answer whole; errors of the Engine come as CortexError but for 404 and 304. */
  async call(path: string, options: Call): Promise<Answer> {
    const version = await this.#version();
    return this.#send(`/v${version}${path}`, options);
  }

  /** As `call`, and reads the answer's JSON. `null` where there is no such thing (404). */
  async json<T extends z.ZodType>(path: string, schema: T, options: Call): Promise<z.output<T> | null> {
    const { status, body } = await this.call(path, options);
    if (status === 404) {
      await body.dump();
      return null;
    }
    const parsed = schema.safeParse(await body.json());
    if (parsed.success) return parsed.data;
    throw new CortexError('docker_failed', {
      action: options.action,
      reason: `an answer that we can't read: ${parsed.error.message}`,
    });
  }

  /**
   * As `call` where the answer's body does not matter. 404 is an error here, for it says more than that the thing is gone:
   * Engines say so too where they have no addresses left for a network, and of a container whose network is missing.
   */
  async run(path: string, options: Call): Promise<void> {
    const { status, body } = await this.call(path, options);
    if (status === 404) throw refusal(options.action, status, await body.text());
    await body.dump();
  }

  /** As `run` for what is about one thing alone. False where there is no such thing. */
  async runIfThere(path: string, options: Call): Promise<boolean> {
    const { status, body } = await this.call(path, options);
    await body.dump();
    return status !== 404;
  }

  /** Gives the status and the Engine's words for it, whatever they are. */
  async ask(path: string, options: Call): Promise<{ status: number; reason: string }> {
    const version = await this.#version();
    const { statusCode, body } = await this.#request(`/v${version}${path}`, options);
    return { status: statusCode, reason: reasonOf(statusCode, await body.text()) };
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #version(): Promise<string> {
    if (this.#apiVersion !== null) return this.#apiVersion;
    const { body } = await this.#send('/version', { action: 'tell its version' });
    const minor = Number(String(Object(await body.json()).ApiVersion).split('.')[1]);
    this.#apiVersion = `1.${Math.min(Math.max(Number.isInteger(minor) ? minor : 0, oldestMinor), newestMinor)}`;
    return this.#apiVersion;
  }

  async #send(path: string, options: Call): Promise<Answer> {
    const answer = await this.#request(path, options);
    if (answer.statusCode < 400 || answer.statusCode === 404) return { status: answer.statusCode, body: answer.body };
    throw refusal(options.action, answer.statusCode, await answer.body.text());
  }

  async #request(path: string, options: Call): Promise<Dispatcher.ResponseData> {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(options.query ?? {}))
      if (value !== undefined) query.set(name, String(value));
    const search = query.size === 0 ? '' : `?${query}`;
    try {
      return await request(`${this.#origin}${path}${search}`, {
        dispatcher: this.#agent,
        method: options.method ?? 'GET',
        headers: { ...(options.json === undefined ? {} : { 'content-type': 'application/json' }), ...options.headers },
        body: options.json === undefined ? (options.body ?? null) : JSON.stringify(options.json),
        signal: options.signal ?? null,
      });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw new CortexError(
        'docker_unavailable',
        { address: this.address, reason: connectReason(error) },
        { cause: error },
      );
    }
  }
}

export const refusal = (action: string, status: number, body: string): CortexError =>
  new CortexError('docker_failed', { action, reason: reasonOf(status, body) });

/** The Engine's words in an answer's body. */
function reasonOf(status: number, body: string): string {
  try {
    const message: unknown = Object(JSON.parse(body)).message;
    return typeof message === 'string' ? message : `HTTP ${status}`;
  } catch {
    return body.trim() === '' ? `HTTP ${status}` : body.trim();
  }
}

const connectReasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket',
  ECONNREFUSED: 'nothing listens there',
  EACCES: 'this user may not open the socket (add it to the group docker)',
};

function connectReason(error: unknown): string {
  const code: unknown = Object(error).code;
  return (
    (typeof code === 'string' ? connectReasons[code] : undefined) ??
    (error instanceof Error ? error.message : String(error))
  );
}
