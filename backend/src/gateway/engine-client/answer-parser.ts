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
const headEnd = '\r\n\r\n';
/** Most heads are that short, and a text is searched more quickly than bytes. */
const shortHeadBytes = 1024;

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
  take(bytes: Buffer): void {
    if (bytes.length === 0) return;
    let rest: Buffer | null = this.#held === null ? bytes : Buffer.concat([this.#held, bytes]);
    this.#held = null;
    while (rest !== null) rest = this.#step(rest);
  }

  /** The peer has closed. @throws Error where the answer had not ended */
  close(): void {
    if (this.#phase === 'until-close') {
      this.#end();
      return;
    }
    if (this.#phase !== 'done') throw new Error('the connection was closed before the end of the answer');
  }

  /** Gives what is left to read, or null where more has to come first. */
  #step(bytes: Buffer): Buffer | null {
    switch (this.#phase) {
      case 'head':
        return this.#head(bytes);
      case 'sized':
      case 'chunk':
        return this.#counted(bytes);
      case 'until-close':
        this.#events.onData(bytes);
        return null;
      case 'done':
        throw new Error('bytes came that nobody had asked for');
      case 'chunk-size':
      case 'chunk-end':
      case 'trailer':
        return this.#line(bytes);
    }
  }

  #head(bytes: Buffer): Buffer | null {
    let text = bytes.toString('latin1', 0, shortHeadBytes);
    let end = text.indexOf(headEnd);
    if (end === -1 && bytes.length > shortHeadBytes) {
      text = bytes.toString('latin1', 0, headLimitBytes + headEnd.length);
      end = text.indexOf(headEnd);
    }
    if (end === -1 || end > headLimitBytes) {
      if (end !== -1 || bytes.length > headLimitBytes + headEnd.length)
        throw new Error('the head of the answer is too large');
      this.#held = Buffer.from(bytes);
      return null;
    }
    const { status, version, headers } = parseHead(text.slice(0, end + 2));
    const rest = behind(bytes, end + headEnd.length);
    if (status === 101) throw new Error('the engine wants another protocol');
    if (status < 200) return rest;
    const connection = headers.get('connection')?.toLowerCase() ?? '';
    // HTTP/1.0 has no chunks: who sends them there has passed on what it did not understand (RFC 9112, 6.1).
    const keeps = version === 1 || (connection.includes('keep-alive') && !headers.has('transfer-encoding'));
    this.#reusable = keeps && !connection.includes('close');
    this.#phase = this.#framing(status, headers);
    this.#events.onHead(status, headers);
    if (this.#phase === 'sized' && this.#left === 0) this.#end();
    return rest;
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

  #counted(bytes: Buffer): Buffer | null {
    const take = Math.min(this.#left, bytes.length);
    this.#left -= take;
    this.#events.onData(take === bytes.length ? bytes : bytes.subarray(0, take));
    if (this.#left > 0) return null;
    const rest = behind(bytes, take);
    if (this.#phase === 'chunk') this.#phase = 'chunk-end';
    else this.#end();
    return rest;
  }

  /** A chunk's size, the line end behind a chunk, or a trailer. */
  #line(bytes: Buffer): Buffer | null {
    const end = bytes.indexOf(lf);
    if ((end === -1 ? bytes.length : end) > lineLimitBytes) throw new Error('a line of the chunked answer is too long');
    if (end === -1) {
      this.#held = Buffer.from(bytes);
      return null;
    }
    if (end === 0 || bytes[end - 1] !== 0x0d) throw new Error('a line of the chunked answer does not end with CRLF');
    const rest = behind(bytes, end + 1);
    if (this.#phase === 'chunk-size') this.#chunkSize(bytes.toString('latin1', 0, end - 1));
    else if (this.#phase === 'chunk-end') {
      if (end !== 1) throw new Error('a chunk is longer than was told');
      this.#phase = 'chunk-size';
    } else if (end === 1) this.#end();
    else this.#trailer(bytes.toString('latin1', 0, end - 1));
    return rest;
  }

  #chunkSize(line: string): void {
    const digits = /^([0-9a-fA-F]{1,12})(?:[ \t]*;.*)?$/.exec(line)?.[1];
    if (digits === undefined) throw new Error('the size of a chunk is not a number');
    this.#left = Number.parseInt(digits, 16);
    this.#phase = this.#left === 0 ? 'trailer' : 'chunk';
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

/** What is left, or null where nothing is: a view of no bytes costs as much as any. */
const behind = (bytes: Buffer, at: number): Buffer | null => (at === bytes.length ? null : bytes.subarray(at));

// Control characters, line ends among them, are in no line: a laxer reader may see one more header there.
const statusLine = /^HTTP\/1\.([01]) ([1-9]\d{2})(?: [\t\x20-\x7e\x80-\xff]*)?\r\n/;
const fieldLine = /([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)\r\n/y;

/** @param text each line with its end @throws Error */
function parseHead(text: string): { status: number; version: number; headers: Map<string, string> } {
  const [line, version, status] = statusLine.exec(text) ?? [];
  if (line === undefined) throw new Error('the answer is not HTTP/1.1');
  const headers = new Map<string, string>();
  for (let at = line.length; at < text.length; at = fieldLine.lastIndex) {
    const { name, value } = parseHeader(text, at);
    const known = headers.get(name);
    if (known !== undefined && name === 'content-length' && known !== value)
      throw new Error('the answer tells two lengths');
    headers.set(name, known === undefined || name === 'content-length' ? value : `${known}, ${value}`);
  }
  return { status: Number(status), version: Number(version), headers };
}

/** @param at where the line begins @throws Error */
function parseHeader(text: string, at: number): { name: string; value: string } {
  fieldLine.lastIndex = at;
  const [, name, value] = fieldLine.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new Error('a header of the answer is not valid');
  return { name: name.toLowerCase(), value: withoutSpace(value) };
}

/** Spaces and tabs alone: what else a person calls a space is part of a value (RFC 9110, 5.5). */
function withoutSpace(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && (text[start] === ' ' || text[start] === '\t')) start += 1;
  while (end > start && (text[end - 1] === ' ' || text[end - 1] === '\t')) end -= 1;
  return text.slice(start, end);
}
