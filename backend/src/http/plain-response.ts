import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { HttpResponse } from './message.ts';
import { oneWriteBytes } from './one-write.ts';

export const keepAliveSeconds = 65;
// What would end a header's line, or is no character of one.
const unfit = /[^\t\x20-\x7e\x80-\xff]/;

let dateAtSecond = 0;
let dateLine = '';

function dated(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== dateAtSecond) {
    dateAtSecond = second;
    dateLine = `date: ${new Date(second * 1000).toUTCString()}\r\n`;
  }
  return dateLine;
}

const lastChunk = '0\r\n\r\n';

interface Parts {
  readonly before: string;
  readonly bytes: Buffer;
  readonly after: string;
}

/** Whose answer it is. */
export interface AnswerOwner {
  /** This is to be the last answer on the connection. */
  readonly closing: boolean;
  /** The answer is complete, or else cannot be completed and the connection is not usable. */
  answered(reusable: boolean): void;
}

/**
 * The answer to a plain request. Node's own writes head, length, piece and line ends as parts of their own, which was a third
 * of what relaying costs; here all that is ready goes out as one text and one write.
 */
export class PlainResponse implements HttpResponse {
  readonly #socket: Socket;
  readonly #owner: AnswerOwner;
  /** Name, value, name, value: some ten, in which looking is quicker than in a map. */
  readonly #headers: string[] = [];
  #closeListeners: (() => void)[] = [];
  #see: ((bytes: Buffer) => void) | null = null;
  #kept: ((then: () => void) => void) | null = null;
  /** The head until it is sent. */
  #head = '';
  #chunked = false;
  #lasting = true;
  #ended = false;
  #over = false;
  headersSent = false;
  finished = false;

  constructor(socket: Socket, owner: AnswerOwner) {
    this.#socket = socket;
    this.#owner = owner;
  }

  get destroyed(): boolean {
    return this.#socket.destroyed || (this.#over && !this.finished);
  }

  setHeader(name: string, value: string): void {
    if (unfit.test(value)) throw new TypeError(`the header ${name} holds what no header may`);
    const at = this.#indexOf(name);
    if (at === -1) this.#headers.push(name, value);
    else this.#headers[at + 1] = value;
  }

  removeHeader(name: string): void {
    const at = this.#indexOf(name);
    if (at !== -1) this.#headers.splice(at, 2);
  }

  hasHeader(name: string): boolean {
    return this.#indexOf(name) !== -1;
  }

  headers(): Record<string, string> {
    const found: Record<string, string> = {};
    for (let at = 0; at < this.#headers.length; at += 2) found[this.#headers[at] ?? ''] = this.#headers[at + 1] ?? '';
    return found;
  }

  writeHead(status: number): void {
    if (this.headersSent) throw new Error('the head is sent already');
    this.headersSent = true;
    this.#chunked = !this.hasHeader('content-length');
    this.#lasting = !this.#owner.closing;
    const headers = this.#headers;
    let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
    for (let at = 0; at < headers.length; at += 2) head += `${headers[at]}: ${headers[at + 1]}\r\n`;
    head += dated();
    head += this.#lasting
      ? `connection: keep-alive\r\nkeep-alive: timeout=${keepAliveSeconds}\r\n`
      : 'connection: close\r\n';
    this.#head = this.#chunked ? `${head}transfer-encoding: chunked\r\n\r\n` : `${head}\r\n`;
  }

  flushHeaders(): void {
    if (this.#head === '' || this.#over) return;
    this.#socket.write(this.#head, 'latin1');
    this.#head = '';
  }

  write(bytes: Buffer): boolean {
    if (this.#over || this.#ended) return false;
    if (bytes.length === 0) return true;
    this.#see?.(bytes);
    const framed = this.#framed(bytes, '');
    if (this.#kept === null) return this.#send(framed);
    this.#kept(() => void this.#send(framed));
    return true;
  }

  end(bytes: Buffer | string = ''): void {
    if (this.#over || this.#ended) return;
    this.#ended = true;
    if (bytes.length > 0) this.#see?.(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    const framed = this.#framed(bytes, this.#chunked ? lastChunk : '');
    if (this.#kept === null) this.#sendLast(framed);
    else this.#kept(() => this.#sendLast(framed));
  }

  after(kept: (then: () => void) => void): void {
    this.#kept = kept;
  }

  destroy(): void {
    this.#socket.destroy();
    this.left();
  }

  /** The client has gone before it had all. */
  left(): void {
    if (!this.#over) this.#close(false);
  }

  onDrain(listener: () => void): void {
    this.#socket.once('drain', listener);
  }

  onClose(listener: () => void): void {
    this.#closeListeners.push(listener);
  }

  offClose(listener: () => void): void {
    const at = this.#closeListeners.indexOf(listener);
    if (at !== -1) this.#closeListeners.splice(at, 1);
  }

  observe(see: (bytes: Buffer) => void): void {
    this.#see = see;
  }

  #indexOf(name: string): number {
    for (let at = 0; at < this.#headers.length; at += 2) if (this.#headers[at] === name) return at;
    return -1;
  }

  /** With what has to stand around it: one text, or parts where a copy would cost more. */
  #framed(bytes: Buffer | string, behind: string): string | Parts {
    const isChunk = this.#chunked && bytes.length > 0;
    const before = isChunk ? `${this.#head}${bytes.length.toString(16)}\r\n` : this.#head;
    const after = isChunk ? `\r\n${behind}` : behind;
    this.#head = '';
    if (typeof bytes === 'string') return before + bytes + after;
    if (bytes.length <= oneWriteBytes) return before + bytes.toString('latin1') + after;
    return { before, bytes: Buffer.from(bytes), after };
  }

  #send(framed: string | Parts): boolean {
    if (this.#over || framed === '') return true;
    return typeof framed === 'string' ? this.#socket.write(framed, 'latin1') : writeParts(this.#socket, framed);
  }

  #sendLast(framed: string | Parts): void {
    this.#send(framed);
    this.#finish();
  }

  #finish(): void {
    if (this.#over) return;
    this.finished = true;
    this.#close(this.#lasting);
  }

  #close(reusable: boolean): void {
    this.#over = true;
    const listeners = this.#closeListeners;
    this.#closeListeners = [];
    for (const listener of listeners) listener();
    this.#owner.answered(reusable);
  }
}

function writeParts(socket: Socket, { before, bytes, after }: Parts): boolean {
  socket.cork();
  if (before !== '') socket.write(before, 'latin1');
  let keepsUp = socket.write(bytes);
  if (after !== '') keepsUp = socket.write(after, 'latin1');
  socket.uncork();
  return keepsUp;
}
