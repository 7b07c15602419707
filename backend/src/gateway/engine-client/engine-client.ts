import { isIPv6 } from 'node:net';
import { type AnswerSink, Connection, type EngineCall, type Origin } from './connection.ts';

/** Below what engines wait: uvicorn (vLLM) and cpp-httplib (llama.cpp) close after 5 s. */
const idleLimitMs = 4_000;
const sweepMs = 250;

export interface EngineRequest {
  /** http://host:port or https://host:port, with a path in front of /v1 where the endpoint has one. */
  readonly url: string;
  readonly ca: string | null;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Lower-case names; values without line ends. */
  readonly headers: Readonly<Record<string, string>>;
  /** A text is Latin-1: each character is a byte. */
  readonly body: Buffer | string;
}

interface Pool {
  readonly origin: Origin;
  /** `host: …` and the path before /v1. */
  readonly hostLine: string;
  readonly basePath: string;
  readonly idle: Connection[];
  readonly all: Set<Connection>;
}

/**
 * A lean HTTP/1.1 client for peers that Cortex starts or an administrator names: keep-alive, newest connection first, no
 * limit of its own (the queue has one). It follows no redirect and sends nothing twice.
 */
export class EngineClient {
  readonly #pools = new Map<string, Pool>();
  readonly #sweep = setInterval(() => this.#closeStale(), sweepMs).unref();

  send(request: EngineRequest, sink: AnswerSink): EngineCall {
    const pool = this.#pool(request.url, request.ca);
    const connection = takeIdle(pool) ?? this.#open(pool);
    let head = `${request.method} ${pool.basePath}${request.path} HTTP/1.1\r\n${pool.hostLine}connection: keep-alive\r\n`;
    for (const name in request.headers) head += `${name}: ${request.headers[name]}\r\n`;
    if (request.method === 'POST') head += `content-length: ${request.body.length}\r\n`;
    connection.send(`${head}\r\n`, request.body, sink);
    return connection;
  }

  /** Cuts every connection. */
  close(): void {
    clearInterval(this.#sweep);
    for (const { all } of this.#pools.values()) for (const connection of [...all]) connection.destroy();
    this.#pools.clear();
  }

  #closeStale(): void {
    const nowMs = Date.now();
    for (const { idle } of this.#pools.values())
      for (const connection of [...idle]) if (connection.isStale(nowMs)) connection.destroy();
  }

  #pool(url: string, ca: string | null): Pool {
    const key = ca === null ? url : `${url} ${ca}`;
    const known = this.#pools.get(key);
    if (known !== undefined) return known;
    const { protocol, hostname, port, pathname } = new URL(url);
    const host = hostname.replace(/^\[|\]$/g, '');
    const isTls = protocol === 'https:';
    const number = port === '' ? (isTls ? 443 : 80) : Number(port);
    const pool: Pool = {
      origin: { host, port: number, tls: isTls ? { ca } : null },
      hostLine: `host: ${isIPv6(host) ? `[${host}]` : host}:${number}\r\n`,
      basePath: pathname.replace(/\/+$/, ''),
      idle: [],
      all: new Set(),
    };
    this.#pools.set(key, pool);
    return pool;
  }

  #open(pool: Pool): Connection {
    const connection = new Connection(
      pool.origin,
      {
        onIdle: (idle) => void pool.idle.push(idle),
        onClosed: (closed) => {
          pool.all.delete(closed);
          const at = pool.idle.indexOf(closed);
          if (at !== -1) pool.idle.splice(at, 1);
          // Endpoints come and go with their containers.
          if (pool.all.size === 0) for (const [key, known] of this.#pools) if (known === pool) this.#pools.delete(key);
        },
      },
      idleLimitMs,
    );
    pool.all.add(connection);
    return connection;
  }
}

/** The one that was used last, unless the engine may be about to close it. */
function takeIdle({ idle }: Pool): Connection | undefined {
  for (let newest = idle.pop(); newest !== undefined; newest = idle.pop()) {
    if (!newest.isStale(Date.now())) return newest;
    newest.destroy();
  }
  return undefined;
}
