import type { IncomingHttpHeaders } from 'node:http';

/** A request as the gateway reads it, whoever parsed it. */
export interface HttpRequest {
  readonly method: string;
  /** The target: path and query. */
  readonly url: string;
  /** By name in lower case. */
  readonly headers: IncomingHttpHeaders;
  /** Of the connection's other end, which may be a proxy. */
  readonly remoteAddress: string;
  /**
   * The body; null where the client left before its end. What is behind the limit is left unread: see `discardRest`.
   * @throws CortexError body_too_large
   */
  readBody(limitBytes: number): Buffer | null | Promise<Buffer | null>;
  /** Lets what nobody reads of the body run into nothing, so that the client comes to read its answer. */
  discardRest(): void;
}

/** The answer to a request. Each body's length is told by its `content-length`; without one it goes out in chunks. */
export interface HttpResponse {
  readonly headersSent: boolean;
  /** The connection is gone: nothing that is written arrives. */
  readonly destroyed: boolean;
  /** All of it was given to the connection. */
  readonly finished: boolean;
  setHeader(name: string, value: string): void;
  removeHeader(name: string): void;
  hasHeader(name: string): boolean;
  headers(): Readonly<Record<string, string>>;
  writeHead(status: number): void;
  /** Sends the head now, where the body may be long in coming. */
  flushHeaders(): void;
  /** The bytes may be overwritten after it. False where the client does not keep up: `onDrain` tells when it does. */
  write(bytes: Buffer): boolean;
  /** As `write`, and then no more. A text is Latin-1: each character is a byte. */
  end(bytes?: Buffer | string): void;
  /** What is written from now on goes out when `kept` calls back: something has to be on disk before the client knows. */
  after(kept: (then: () => void) => void): void;
  destroy(): void;
  onDrain(listener: () => void): void;
  /** Once, when the answer is over: `finished`, or else the client has left. */
  onClose(listener: () => void): void;
  offClose(listener: () => void): void;
  /** Hears of each piece of the body that is written. */
  observe(see: (bytes: Buffer) => void): void;
}

export type HttpHandler = (request: HttpRequest, response: HttpResponse) => void;
