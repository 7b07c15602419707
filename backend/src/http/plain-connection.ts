import type { Socket } from 'node:net';
import { CortexError } from '../../../contract/errors.ts';
import type { HttpHandler, HttpRequest } from './message.ts';
import { type PlainHead, PlainHeads } from './plain-head.ts';
import { type AnswerOwner, keepAliveSeconds, PlainResponse } from './plain-response.ts';

/** A larger body is Node's to read: its sender may be refused before it has sent all. */
const mostBodyBytes = 256 * 1024;
/** Of a request that has not come whole, as of one that came before the last one's answer. */
const wholeWithinMs = 10_000;
const mostAheadBytes = 64 * 1024;

export interface ConnectionOwner {
  readonly handler: HttpHandler;
  readonly closing: boolean;
  /** Whether the handler is the one for this target. */
  takes(url: string): boolean;
  /** The connection is no longer looked after here; `bytes` came on it and were not read. */
  onDoubt(connection: PlainConnection, bytes: Buffer): void;
  onClosed(connection: PlainConnection): void;
}

/**
 * A client's connection, for as long as its requests leave no doubt. A request is handed on when it has come whole; at the
 * first that is anything but plain the connection goes, with all its bytes unread, to Node's HTTP server.
 */
export class PlainConnection implements AnswerOwner {
  readonly socket: Socket;
  readonly #owner: ConnectionOwner;
  readonly #heads = new PlainHeads();
  #pieces: Buffer[] = [];
  #sizeBytes = 0;
  #head: PlainHead | null = null;
  #response: PlainResponse | null = null;
  #givenUp = false;
  #sinceMs = Date.now();

  constructor(socket: Socket, owner: ConnectionOwner) {
    this.socket = socket;
    this.#owner = owner;
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
  }

  /** Ends it where nothing is under way, for good or because the client has been silent for long. */
  closeIfIdle(nowMs: number, atOnce: boolean): void {
    if (this.#response !== null) return;
    const quietMs = nowMs - this.#sinceMs;
    if (this.#sizeBytes > 0) {
      // Node answers, and says 408 in its time.
      if (atOnce || quietMs > wholeWithinMs) this.#giveUp();
    } else if (atOnce || quietMs > keepAliveSeconds * 1000) this.socket.destroy();
  }

  readonly #onData = (bytes: Buffer): void => {
    if (this.#sizeBytes === 0) this.#sinceMs = Date.now();
    this.#pieces.push(bytes);
    this.#sizeBytes += bytes.length;
    if (this.#response === null) this.#next();
    else if (this.#sizeBytes > mostAheadBytes) this.socket.pause();
  };

  #next(): void {
    if (this.#sizeBytes === 0 || this.#givenUp) return;
    if (this.#head === null) {
      const first = this.#joined();
      this.#head = this.#heads.read(first);
      const { url = '', bodyBytes = 0 } = this.#head ?? {};
      if (this.#head === null || bodyBytes > mostBodyBytes || !this.#owner.takes(url)) {
        this.#giveUp();
        return;
      }
    }
    const { headBytes, bodyBytes } = this.#head;
    const wholeBytes = headBytes + bodyBytes;
    if (this.#sizeBytes < wholeBytes) return;
    const all = this.#joined();
    this.#sizeBytes -= wholeBytes;
    this.#pieces.pop();
    if (this.#sizeBytes > 0) this.#pieces.push(all.subarray(wholeBytes));
    this.#answer(this.#head, all.subarray(headBytes, wholeBytes));
  }

  #joined(): Buffer {
    const [only] = this.#pieces;
    if (this.#pieces.length === 1 && only !== undefined) return only;
    const all = Buffer.concat(this.#pieces, this.#sizeBytes);
    this.#pieces = [all];
    return all;
  }

  /** @param body null where the client left while it sent it: whose request that was is still to be told */
  #answer(head: PlainHead, body: Buffer | null): void {
    this.#head = null;
    const response = new PlainResponse(this.socket, this);
    this.#response = response;
    this.#owner.handler(new PlainRequest(head, body, this.socket.remoteAddress ?? ''), response);
  }

  get closing(): boolean {
    return this.#owner.closing;
  }

  answered(reusable: boolean): void {
    this.#response = null;
    this.#sinceMs = Date.now();
    if (!reusable || this.#owner.closing) {
      // What was written still goes out.
      if (!this.socket.destroyed) this.socket.end(() => this.socket.destroy());
      return;
    }
    if (this.#sizeBytes === 0) return;
    // A client that sends ahead and does not read must not fill the memory with its answers.
    if (this.socket.writableNeedDrain) this.socket.once('drain', () => this.#goOn());
    else setImmediate(() => this.#goOn());
  }

  #goOn(): void {
    if (this.#response !== null || this.socket.destroyed) return;
    this.#next();
    if (!this.#givenUp) this.socket.resume();
  }

  #giveUp(): void {
    const { socket } = this;
    this.#givenUp = true;
    socket.off('data', this.#onData);
    socket.off('end', this.#onEnd);
    socket.off('error', this.#onError);
    socket.off('close', this.#onClose);
    this.#owner.onDoubt(this, this.#joined());
  }

  /** As Node's server takes it: who closes his side does not wait for an answer. */
  readonly #onEnd = (): void => {
    if (this.#response === null) {
      if (this.#sizeBytes > 0) this.socket.destroy();
      else this.socket.end();
    } else this.socket.destroy();
  };

  /** 'close' follows. */
  readonly #onError = (): void => undefined;

  readonly #onClose = (): void => {
    if (this.#response === null && this.#head !== null) this.#answer(this.#head, null);
    this.#response?.left();
    this.#owner.onClosed(this);
  };
}

class PlainRequest implements HttpRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly remoteAddress: string;
  readonly #body: Buffer | null;

  constructor({ method, url, headers }: PlainHead, body: Buffer | null, remoteAddress: string) {
    this.method = method;
    this.url = url;
    this.headers = headers;
    this.remoteAddress = remoteAddress;
    this.#body = body;
  }

  readBody(limitBytes: number): Buffer | null {
    if (this.#body !== null && this.#body.length > limitBytes) throw new CortexError('body_too_large', { limitBytes });
    return this.#body;
  }

  /** It was read whole. */
  discardRest(): void {}
}
