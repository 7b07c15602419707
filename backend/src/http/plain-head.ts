/** A request's head that leaves no doubt: what follows it is exactly its body. */
export interface PlainHead {
  readonly method: 'GET' | 'POST';
  readonly url: string;
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
  fieldLine.lastIndex = line.length;
  while (fieldLine.lastIndex < text.length) {
    const [, written, value = ''] = fieldLine.exec(text) ?? [];
    if (written === undefined) return null;
    const name = written.toLowerCase();
    // Twice is one too many of most; `in`, because a name may be that of what every object has.
    if (name in headers || special.has(name)) return null;
    headers[name] = value;
  }
  const { host, connection, 'content-length': told } = headers;
  if (host === undefined) return null;
  if (connection !== undefined && connection.toLowerCase() !== 'keep-alive') return null;
  if (method === 'GET') return told === undefined ? { method, url, headers, headBytes: end + 4, bodyBytes: 0 } : null;
  if (told === undefined || !length.test(told)) return null;
  return { method: 'POST', url, headers, headBytes: end + 4, bodyBytes: Number(told) };
}
