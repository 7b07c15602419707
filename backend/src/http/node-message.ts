import type { IncomingMessage, ServerResponse } from 'node:http';
import { CortexError } from '../../../contract/errors.ts';
import type { HttpHandler, HttpRequest, HttpResponse } from './message.ts';
import type { RequestHandler } from './node-server.ts';

/** Lets Node's HTTP server call a handler of the gateway. */
export const nodeHandler =
  (handler: HttpHandler): RequestHandler =>
  (request, response) =>
    handler(new NodeRequest(request), new NodeResponse(response));

const discardLimitBytes = 64 * 1024 * 1024;
const discardLimitMs = 10_000;

class NodeRequest implements HttpRequest {
  readonly #request: IncomingMessage;
  readonly remoteAddress: string;

  constructor(request: IncomingMessage) {
    this.#request = request;
    this.remoteAddress = request.socket.remoteAddress ?? '';
  }

  get method(): string {
    return this.#request.method ?? '';
  }

  get url(): string {
    return this.#request.url ?? '';
  }

  get headers(): IncomingMessage['headers'] {
    return this.#request.headers;
  }

  readBody(limitBytes: number): Promise<Buffer | null> {
    const request = this.#request;
    const tooLarge = () => new CortexError('body_too_large', { limitBytes });
    if (Number(request.headers['content-length'] ?? 0) > limitBytes) return Promise.reject(tooLarge());
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let sizeBytes = 0;
      const settle = (act: () => void) => {
        request.off('data', take).off('end', complete).off('close', left);
        act();
      };
      const take = (chunk: Buffer) => {
        sizeBytes += chunk.length;
        if (sizeBytes <= limitBytes) chunks.push(chunk);
        else settle(() => reject(tooLarge()));
      };
      const complete = () => settle(() => resolve(Buffer.concat(chunks, sizeBytes)));
      const left = () => settle(() => resolve(null));
      request.on('data', take).once('end', complete).once('close', left);
      // A client that leaves is told by 'close'; without a listener here it would be an uncaught error.
      request.on('error', () => undefined);
      if (request.destroyed) left();
    });
  }

  /** Closing at once would reset the connection, and the client, still sending, would see that instead of the answer. */
  discardRest(): void {
    const request = this.#request;
    if (request.complete) return;
    let sizeBytes = 0;
    const cut = () => request.destroy();
    const timer = setTimeout(cut, discardLimitMs).unref();
    request.once('close', () => clearTimeout(timer)).once('end', () => clearTimeout(timer));
    request.on('error', () => undefined);
    request.on('data', (chunk: Buffer) => {
      sizeBytes += chunk.length;
      if (sizeBytes > discardLimitBytes) cut();
    });
    request.resume();
  }
}

class NodeResponse implements HttpResponse {
  readonly #response: ServerResponse;
  #see: ((bytes: Buffer) => void) | null = null;
  #kept: ((then: () => void) => void) | null = null;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  get headersSent(): boolean {
    return this.#response.headersSent;
  }

  get destroyed(): boolean {
    return this.#response.destroyed;
  }

  get finished(): boolean {
    return this.#response.writableFinished;
  }

  setHeader(name: string, value: string): void {
    this.#response.setHeader(name, value);
  }

  removeHeader(name: string): void {
    this.#response.removeHeader(name);
  }

  hasHeader(name: string): boolean {
    return this.#response.hasHeader(name);
  }

  headers(): Record<string, string> {
    return Object.fromEntries(
      Object.entries(this.#response.getHeaders()).map(([name, value]) => [name, String(value)]),
    );
  }

  writeHead(status: number): void {
    this.#response.writeHead(status);
  }

  flushHeaders(): void {
    this.#response.flushHeaders();
  }

  write(bytes: Buffer): boolean {
    this.#see?.(bytes);
    const own = Buffer.from(bytes);
    if (this.#kept === null) return this.#response.write(own);
    this.#kept(() => void this.#response.write(own));
    return true;
  }

  end(bytes: Buffer | string = ''): void {
    const own = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes);
    if (own.length > 0) this.#see?.(own);
    if (this.#kept === null) this.#response.end(own);
    else this.#kept(() => void this.#response.end(own));
  }

  after(kept: (then: () => void) => void): void {
    this.#kept = kept;
  }

  destroy(): void {
    this.#response.destroy();
  }

  onDrain(listener: () => void): void {
    this.#response.once('drain', listener);
  }

  onClose(listener: () => void): void {
    this.#response.once('close', listener);
  }

  offClose(listener: () => void): void {
    this.#response.off('close', listener);
  }

  observe(see: (bytes: Buffer) => void): void {
    this.#see = see;
  }
}
