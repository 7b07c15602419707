/** A request's head that leaves no doubt: what follows it is exactly its body. */
export interface PlainHead {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  /** All but `content-length`: that is `bodyBytes`. */
  readonly headers: Readonly<Record<string, string>>;
  readonly headBytes: number;
  readonly bodyBytes: number;
}

/** Node's own limit (--max-http-header-size). */
const mostHeadBytes = 16 * 1024;

// RFC 3986's characters of a path and a query; Node takes more.
const requestLine = /^(GET|POST) (\/[\w.~!$&'()*+,;=:@/?%-]*) HTTP\/1\.1\r\n/;
const fieldLine = /([!#$%&'*+.^_`|~\w-]+):[ \t]*([\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?[ \t]*\r\n/y;
const length = /^(?:0|[1-9]\d{0,8})$/;
/** Whoever sends these wants something of the connection, or frames the body otherwise. */
const special = new Set(['transfer-encoding', 'expect', 'upgrade', 'trailer', 'te', 'proxy-connection']);

/**
 * Reads the head of what clients of the API send: HTTP/1.1, one Host, a body of a told length or none. Null for all else, a
 * head that has not come whole among it: those are for Node's parser to judge, of whose judgement this is a part.
 */
export function readPlainHead(bytes: Buffer): PlainHead | null {
  const end = bytes.indexOf('\r\n\r\n', 0, 'latin1');
  if (end === -1 || end > mostHeadBytes) return null;
  const text = bytes.toString('latin1', 0, end + 2);
  const [line, method, url] = requestLine.exec(text) ?? [];
  if (line === undefined || url === undefined) return null;
  const headers: Record<string, string> = {};
  let told: string | undefined;
  fieldLine.lastIndex = line.length;
  while (fieldLine.lastIndex < text.length) {
    const [, written, value = ''] = fieldLine.exec(text) ?? [];
    if (written === undefined) return null;
    const name = written.toLowerCase();
    // Twice is one too many of most; `in`, because a name may be that of what every object has.
    if (name in headers || special.has(name)) return null;
    if (name !== 'content-length') headers[name] = value;
    else if (told === undefined) told = value;
    else return null;
  }
  const { host, connection } = headers;
  if (host === undefined) return null;
  if (connection !== undefined && connection.toLowerCase() !== 'keep-alive') return null;
  if (method === 'GET') return told === undefined ? { method, url, headers, headBytes: end + 4, bodyBytes: 0 } : null;
  if (told === undefined || !length.test(told)) return null;
  return { method: 'POST', url, headers, headBytes: end + 4, bodyBytes: Number(told) };
}

const digit0 = 0x30;
const mostDigits = 9;
const lengthField = /\r\ncontent-length:[ \t]*/i;

/**
 * The heads of one connection. A client mostly sends the same one again but for the body's length, and what is the same byte
 * for byte means the same: it is not read anew, and its `headers` are the same object.
 */
export class PlainHeads {
  #head: PlainHead | null = null;
  #last: Buffer = Buffer.alloc(0);
  /** Of the last head, where the digits of its length stand: both its end where it has none. */
  #digitsStart = 0;
  #digitsEnd = 0;

  /** As `readPlainHead`. */
  read(bytes: Buffer): PlainHead | null {
    return this.#again(bytes) ?? this.#anew(bytes);
  }

  #anew(bytes: Buffer): PlainHead | null {
    const head = readPlainHead(bytes);
    if (head === null) return null;
    const text = bytes.toString('latin1', 0, head.headBytes);
    const field = head.method === 'POST' ? lengthField.exec(text) : null;
    // A copy: a view would keep the body as well.
    this.#last = Buffer.from(text, 'latin1');
    this.#head = head;
    this.#digitsStart = field === null ? text.length : field.index + field[0].length;
    this.#digitsEnd = field === null ? text.length : this.#digitsStart + String(head.bodyBytes).length;
    return head;
  }

  #again(bytes: Buffer): PlainHead | null {
    const [head, last, start] = [this.#head, this.#last, this.#digitsStart];
    if (head === null || bytes.length < start || bytes.compare(last, 0, start, 0, start) !== 0) return null;
    if (start === last.length) return head;
    let end = start;
    let bodyBytes = 0;
    for (let digit = digitAt(bytes, end); digit !== -1; digit = digitAt(bytes, end)) {
      bodyBytes = bodyBytes * 10 + digit;
      end += 1;
    }
    if (end === start || end - start > mostDigits || (end - start > 1 && bytes[start] === digit0)) return null;
    const headBytes = end + last.length - this.#digitsEnd;
    if (bytes.length < headBytes || bytes.compare(last, this.#digitsEnd, last.length, end, headBytes) !== 0)
      return null;
    return bodyBytes === head.bodyBytes ? head : { ...head, headBytes, bodyBytes };
  }
}

/** -1 where there is none. */
function digitAt(bytes: Buffer, at: number): number {
  const digit = (bytes[at] ?? 0) - digit0;
  return digit >= 0 && digit <= 9 ? digit : -1;
}
