import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Faults {
  /** Answers every Range with the whole. */
  ignoresRange?: boolean;
  /** So many requests for blobs get 429 with Retry-After: 1 first. */
  busyTimes?: number;
  /** Cuts the connection after so many bytes of a blob, so many times. */
  cuts?: { afterBytes: number; times: number };
  /** Turns a byte of every blob over that is larger than this. */
  liesAbove?: number;
  /** Asks for a token; the first one has run out when so many blobs have been asked for. */
  tokenBlobs?: number;
  /** Sends blobs elsewhere, as most registries do. */
  redirects?: boolean;
}

/** A real registry seen through a proxy that behaves as badly as real ones have been seen to. */
export class FaultyRegistry {
  readonly #server: Server;
  readonly #origin: string;
  faults: Faults = {};
  /** What was asked for blobs: the path's digest and the Range. */
  readonly asked: { digest: string; range: string | undefined }[] = [];
  /** Authorization headers that reached the place where blobs were redirected to. */
  readonly leaked: string[] = [];
  sentBytes = 0;
  tokens = 0;

  constructor(origin: string) {
    this.#origin = origin;
    this.#server = createServer(
      (request, response) => void this.#answer(request, response).catch(() => response.destroy()),
    );
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? '';
    if (url.startsWith('/token')) {
      this.tokens += 1;
      response.end(JSON.stringify({ token: `t${this.tokens}` }));
      return;
    }
    if (this.faults.tokenBlobs !== undefined && !url.startsWith('/elsewhere')) {
      const token = /^Bearer t(\d+)$/.exec(request.headers.authorization ?? '')?.[1];
      if (token === undefined || (token === '1' && this.asked.length >= this.faults.tokenBlobs)) {
        response
          .writeHead(401, { 'www-authenticate': `Bearer realm="http://${request.headers.host}/token",service="test"` })
          .end('{}');
        return;
      }
    }
    const blob = /\/blobs\/(sha256:[0-9a-f]+)$/.exec(url)?.[1];
    if (blob === undefined) return this.#relay(url, request, response);
    if (url.startsWith('/elsewhere')) this.leaked.push(request.headers.authorization ?? '');
    else if (this.faults.redirects) {
      const other = String(request.headers.host).replace('127.0.0.1', 'localhost');
      response.writeHead(307, { location: `http://${other}/elsewhere${url}` }).end();
      return;
    }
    this.asked.push({ digest: blob, range: request.headers.range });
    if ((this.faults.busyTimes ?? 0) > 0) {
      this.faults.busyTimes = (this.faults.busyTimes ?? 0) - 1;
      response.writeHead(429, { 'retry-after': '1' }).end('slow down');
      return;
    }
    await this.#relayBlob(url.replace('/elsewhere', ''), request, response);
  }

  async #relay(url: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = await fetch(`${this.#origin}${url}`, { headers: { accept: request.headers.accept ?? '*/*' } });
    const headers: Record<string, string> = {};
    for (const name of ['content-type', 'docker-content-digest']) {
      const value = answer.headers.get(name);
      if (value !== null) headers[name] = value;
    }
    response.writeHead(answer.status, headers).end(Buffer.from(await answer.arrayBuffer()));
  }

  async #relayBlob(url: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const range = this.faults.ignoresRange ? undefined : request.headers.range;
    const answer = await fetch(`${this.#origin}${url}`, range === undefined ? {} : { headers: { range } });
    const bytes = Buffer.from(await answer.arrayBuffer());
    if (this.faults.liesAbove !== undefined && bytes.length > this.faults.liesAbove)
      bytes[bytes.length - 9] = (bytes.at(-9) ?? 0) ^ 0xff;
    const contentRange = answer.headers.get('content-range');
    response.writeHead(answer.status, {
      'content-length': bytes.length,
      ...(contentRange === null ? {} : { 'content-range': contentRange }),
    });
    const { cuts } = this.faults;
    if (cuts !== undefined && cuts.times > 0 && bytes.length > cuts.afterBytes) {
      cuts.times -= 1;
      this.sentBytes += cuts.afterBytes;
      response.write(bytes.subarray(0, cuts.afterBytes), () => response.destroy());
      return;
    }
    this.sentBytes += bytes.length;
    response.end(bytes);
  }
}
