/** Told of one HTTP/1.1 message after the other; a body comes in the pieces that the socket gave. */
export interface MessageHandler {
  head(text: string): void;
  body(bytes: Buffer): void;
  end(): void;
}

type State = 'head' | 'sized' | 'chunk-size' | 'chunk' | 'chunk-end' | 'last-chunk-end';

const nothing = Buffer.alloc(0);
const endOfHead = '\r\n\r\n';
const longestHeadBytes = 16 * 1024;

/** Reads HTTP/1.1 strictly: whatever is not well-formed is an error, so a gateway that breaks the protocol is noticed. */
export class MessageReader {
  readonly #handler: MessageHandler;
  readonly #kind: 'request' | 'answer';
  #state: State = 'head';
  #rest: Buffer = nothing;
  #left = 0;

  constructor(kind: 'request' | 'answer', handler: MessageHandler) {
    this.#kind = kind;
    this.#handler = handler;
  }

  /** Nothing of a message is under way. */
  get idle(): boolean {
    return this.#state === 'head' && this.#rest.length === 0;
  }

  /** @throws Error on bytes that are not HTTP/1.1 */
  push(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = nothing;
    let at = 0;
    while (at < bytes.length) {
      const next = this.#step(bytes, at);
      if (next === null) {
        this.#rest = bytes.subarray(at);
        return;
      }
      at = next;
    }
  }

  /** Takes what stands at `at`; gives where to go on, or null where more bytes are needed. */
  #step(bytes: Buffer, at: number): number | null {
    switch (this.#state) {
      case 'head':
        return this.#head(bytes, at);
      case 'chunk-size':
        return this.#chunkSize(bytes, at);
      case 'chunk-end':
        return this.#lineEnd(bytes, at, 'chunk-size');
      case 'last-chunk-end': {
        const next = this.#lineEnd(bytes, at, 'head');
        if (next !== null) this.#handler.end();
        return next;
      }
      case 'sized':
      case 'chunk': {
        const piece = bytes.subarray(at, at + this.#left);
        this.#left -= piece.length;
        const over = this.#left === 0;
        const sized = this.#state === 'sized';
        if (over) this.#state = sized ? 'head' : 'chunk-end';
        this.#handler.body(piece);
        if (over && sized) this.#handler.end();
        return at + piece.length;
      }
    }
  }

  #head(bytes: Buffer, at: number): number | null {
    const end = bytes.indexOf(endOfHead, at, 'latin1');
    if (end === -1) {
      if (bytes.length - at > longestHeadBytes) throw new Error('a head without an end');
      return null;
    }
    const text = bytes.toString('latin1', at, end + 2);
    const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(text)?.[1];
    const chunked = /\r\ntransfer-encoding: *chunked\r\n/i.test(text);
    if (length !== undefined && chunked) throw new Error('a length and chunks at once');
    if (length === undefined && !chunked && this.#kind === 'answer') throw new Error('an answer of unknown length');
    this.#left = Number(length ?? 0);
    this.#state = chunked ? 'chunk-size' : this.#left > 0 ? 'sized' : 'head';
    this.#handler.head(text);
    if (this.#state === 'head') this.#handler.end();
    return end + endOfHead.length;
  }

  #chunkSize(bytes: Buffer, at: number): number | null {
    const end = bytes.indexOf('\r\n', at, 'latin1');
    if (end === -1) return null;
    const text = bytes.toString('latin1', at, end);
    if (!/^[0-9a-fA-F]{1,8}$/.test(text)) throw new Error(`not the size of a chunk: ${text.slice(0, 20)}`);
    this.#left = Number.parseInt(text, 16);
    this.#state = this.#left > 0 ? 'chunk' : 'last-chunk-end';
    return end + 2;
  }

  #lineEnd(bytes: Buffer, at: number, then: State): number | null {
    if (bytes.length - at < 2) return null;
    if (bytes[at] !== 0x0d || bytes[at + 1] !== 0x0a) throw new Error('a chunk without its end');
    this.#state = then;
    return at + 2;
  }
}
