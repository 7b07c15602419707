/** What a parser tells of an answer, in order: one head, bytes, one end. */
export interface AnswerEvents {
  onHead(status: number, headers: ReadonlyMap<string, string>): void;
  onData(bytes: Buffer): void;
  /** @param reusable the connection may carry the next request */
  onEnd(reusable: boolean): void;
}

const headLimitBytes = 64 * 1024;
const lineLimitBytes = 1024;
const lf = 0x0a;
const cr = 0x0d;
const needsMore = -1;
const mostSizeDigits = 12;
const chunkExtension = /^(?:[ \t]*;.*)?$/;
const headEnd = '\r\n\r\n';
/** Most heads are that short, and a text is searched more quickly than bytes. */
const shortHeadBytes = 320;

type Phase = 'head' | 'sized' | 'until-close' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailer' | 'done';

/**
 * Reads one HTTP/1.1 answer after the other from a connection (RFC 9112). Strict where a lax reader could lose the place at
 * which an answer ends: then it throws, and the connection is of no more use. Bytes go on as views, without a copy.
 */
export class AnswerParser {
  readonly #events: AnswerEvents;
  #phase: Phase = 'head';
  #held: Buffer | null = null;
  #left = 0;
  #trailerBytes = 0;
  #reusable = true;

  constructor(events: AnswerEvents) {
    this.#events = events;
  }

  /** True between two answers. */
  get isIdle(): boolean {
    return this.#phase === 'done';
  }

  /** Expects the next answer. */
  reset(): void {
    this.#phase = 'head';
    this.#held = null;
    this.#trailerBytes = 0;
    this.#reusable = true;
  }

  /** @throws Error what is not HTTP/1.1, or comes when nothing was asked */
  take(more: Buffer): void {
    const bytes = this.#held === null ? more : Buffer.concat([this.#held, more]);
    this.#held = null;
    let at = 0;
    while (at < bytes.length) {
      const next = this.#step(bytes, at);
      if (next === needsMore) {
        // A copy: what is given is only lent.
        this.#held = Buffer.from(bytes.subarray(at));
        return;
      }
      at = next;
    }
  }

  /** The peer has closed. @throws Error where the answer had not ended */
  close(): void {
    if (this.#phase === 'until-close') {
      this.#end();
      return;
    }
    if (this.#phase !== 'done') throw new Error('the connection was closed before the end of the answer');
  }

  /** Gives how far it has read, or `needsMore`. */
  #step(bytes: Buffer, at: number): number {
    switch (this.#phase) {
      case 'head':
        return this.#head(bytes, at);
      case 'sized':
      case 'chunk':
        return this.#counted(bytes, at);
      case 'until-close':
        this.#events.onData(at === 0 ? bytes : bytes.subarray(at));
        return bytes.length;
      case 'done':
        throw new Error('bytes came that nobody had asked for');
      case 'chunk-size':
      case 'chunk-end':
      case 'trailer':
        return this.#line(bytes, at);
    }
  }

  #head(bytes: Buffer, at: number): number {
    let text = bytes.toString('latin1', at, at + shortHeadBytes);
    let end = text.indexOf(headEnd);
    if (end === -1 && bytes.length - at > shortHeadBytes) {
      text = bytes.toString('latin1', at, at + headLimitBytes + headEnd.length);
      end = text.indexOf(headEnd);
    }
    if (end === -1) {
      if (bytes.length - at > headLimitBytes + headEnd.length) throw new Error('the head of the answer is too large');
      return needsMore;
    }
    const { status, version, headers } = parseHead(text.slice(0, end + 2));
    const next = at + end + headEnd.length;
    if (status === 101) throw new Error('the engine wants another protocol');
    if (status < 200) return next;
    const connection = headers.get('connection')?.toLowerCase() ?? '';
    // HTTP/1.0 has no chunks: who sends them there has passed on what it did not understand (RFC 9112, 6.1).
    const keeps = version === 1 || (connection.includes('keep-alive') && !headers.has('transfer-encoding'));
    this.#reusable = keeps && !connection.includes('close');
    this.#phase = this.#framing(status, headers);
    this.#events.onHead(status, headers);
    if (this.#phase === 'sized' && this.#left === 0) this.#end();
    return next;
  }

  #framing(status: number, headers: ReadonlyMap<string, string>): Phase {
    const coding = headers.get('transfer-encoding');
    const length = headers.get('content-length');
    this.#left = 0;
    if (status === 204 || status === 304) return 'sized';
    if (coding !== undefined) {
      // Two ways to tell the end are two chances to disagree about it (RFC 9112, 6.3).
      if (length !== undefined || coding.toLowerCase() !== 'chunked')
        throw new Error('the end of the answer is not told in one clear way');
      return 'chunk-size';
    }
    if (length === undefined) {
      this.#reusable = false;
      return 'until-close';
    }
    if (!/^\d{1,15}$/.test(length)) throw new Error('the content-length is not a number');
    this.#left = Number(length);
    return 'sized';
  }

  #counted(bytes: Buffer, at: number): number {
    const end = Math.min(at + this.#left, bytes.length);
    this.#left -= end - at;
    this.#events.onData(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
    if (this.#left > 0) return end;
    if (this.#phase === 'sized') this.#end();
    else if (bytes[end] === cr && bytes[end + 1] === lf) {
      this.#phase = 'chunk-size';
      return end + 2;
    } else this.#phase = 'chunk-end';
    return end;
  }

  /** A chunk's size, the line end behind a chunk, or a trailer. */
  #line(bytes: Buffer, at: number): number {
    const end = bytes.indexOf(lf, at);
    if ((end === -1 ? bytes.length : end) - at > lineLimitBytes)
      throw new Error('a line of the chunked answer is too long');
    if (end === -1) return needsMore;
    if (end === at || bytes[end - 1] !== cr) throw new Error('a line of the chunked answer does not end with CRLF');
    const isEmpty = end - 1 === at;
    if (this.#phase === 'chunk-size') this.#chunkSize(bytes, at, end - 1);
    else if (this.#phase === 'chunk-end') {
      if (!isEmpty) throw new Error('a chunk is longer than was told');
      this.#phase = 'chunk-size';
    } else if (isEmpty) this.#end();
    else this.#trailer(bytes.toString('latin1', at, end - 1));
    return end + 1;
  }

  #chunkSize(bytes: Buffer, start: number, end: number): void {
    let at = start;
    let size = 0;
    for (let digit = hexDigit(bytes[at]); digit !== -1 && at < end; digit = hexDigit(bytes[at])) {
      size = size * 16 + digit;
      at += 1;
    }
    if (at === start || at - start > mostSizeDigits || !chunkExtension.test(bytes.toString('latin1', at, end)))
      throw new Error('the size of a chunk is not a number');
    this.#left = size;
    this.#phase = size === 0 ? 'trailer' : 'chunk';
  }

  /** Nobody reads it, but what is no trailer shows that the place is lost. */
  #trailer(line: string): void {
    this.#trailerBytes += line.length;
    if (this.#trailerBytes > headLimitBytes) throw new Error('the trailers of the answer are too large');
    parseHeader(`${line}\r\n`, 0);
  }

  #end(): void {
    this.#phase = 'done';
    this.#events.onEnd(this.#reusable);
  }
}

function hexDigit(byte = 0): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

// Control characters, line ends among them, are in no line: a laxer reader may see one more header there.
const statusLine = /HTTP\/1\.[01] [1-9]\d{2}(?: [\t\x20-\x7e\x80-\xff]*)?\r\n/y;
const fieldLine = /[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n/y;
const versionAt = 'HTTP/1.'.length;
const statusAt = 'HTTP/1.1 '.length;

/** @param text each line with its end @throws Error */
function parseHead(text: string): { status: number; version: number; headers: Map<string, string> } {
  statusLine.lastIndex = 0;
  if (!statusLine.test(text)) throw new Error('the answer is not HTTP/1.1');
  const headers = new Map<string, string>();
  for (let at = statusLine.lastIndex; at < text.length; at = fieldLine.lastIndex) {
    const { name, value } = parseHeader(text, at);
    const known = headers.get(name);
    if (known !== undefined && name === 'content-length' && known !== value)
      throw new Error('the answer tells two lengths');
    headers.set(name, known === undefined || name === 'content-length' ? value : `${known}, ${value}`);
  }
  return { status: Number(text.slice(statusAt, statusAt + 3)), version: text[versionAt] === '1' ? 1 : 0, headers };
}

/** @param at where the line begins; `fieldLine.lastIndex` is its end then @throws Error */
function parseHeader(text: string, at: number): { name: string; value: string } {
  fieldLine.lastIndex = at;
  if (!fieldLine.test(text)) throw new Error('a header of the answer is not valid');
  const colon = text.indexOf(':', at);
  return {
    name: text.slice(at, colon).toLowerCase(),
    value: withoutSpace(text, colon + 1, fieldLine.lastIndex - '\r\n'.length),
  };
}

/** Spaces and tabs alone: what else a person calls a space is part of a value (RFC 9110, 5.5). */
function withoutSpace(text: string, from: number, to: number): string {
  let [start, end] = [from, to];
  while (start < end && (text[start] === ' ' || text[start] === '\t')) start += 1;
  while (end > start && (text[end - 1] === ' ' || text[end - 1] === '\t')) end -= 1;
  return text.slice(start, end);
}
