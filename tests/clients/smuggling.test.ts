import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { token } from '../fixtures/scripted-engine.ts';
import { rawExchange, statusesIn } from './raw-exchange.ts';
import { playRecordings } from './recorded-engine.ts';
import { ServedGateway } from './served-gateway.ts';

let gateway: ServedGateway;
const path = '/v1/chat/completions';
const body = '{"model":"chatty","messages":[{"role":"user","content":"Hi"}]}';
const auth = `Authorization: Bearer ${token('full')}`;
/** The request that an attacker would hide in the body of another. */
const hidden = `POST ${path} HTTP/1.1\r\nHost: x\r\n${auth}\r\nX-Hidden: 1\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
const request = (headers: readonly string[], content: string, line = `POST ${path} HTTP/1.1`) =>
  `${[line, 'Host: x', auth, ...headers].join('\r\n')}\r\n\r\n${content}`;
const length = `Content-Length: ${body.length}`;

beforeEach(async () => {
  gateway = new ServedGateway();
  await gateway.start();
  playRecordings(gateway.engine);
});
afterEach(() => gateway.close());

const ambiguous: readonly [string, string][] = [
  ['Content-Length before Transfer-Encoding', request([length, 'Transfer-Encoding: chunked'], chunked + hidden)],
  ['Transfer-Encoding before Content-Length', request(['Transfer-Encoding: chunked', length], chunked + hidden)],
  [
    'a length that ends in the middle of the chunks',
    request(['Content-Length: 4', 'Transfer-Encoding: chunked'], `5c\r\n${hidden}`),
  ],
  ['two lengths that differ', request([length, 'Content-Length: 0'], body + hidden)],
  ['two lengths that are the same', request([length, length], body + hidden)],
  ['a list of lengths', request([`Content-Length: ${body.length}, ${body.length}`], body + hidden)],
  ['a length with a sign', request([`Content-Length: +${body.length}`], body + hidden)],
  ['a length below zero', request(['Content-Length: -1'], body + hidden)],
  ['a length in hexadecimal', request([`Content-Length: 0x${body.length.toString(16)}`], body + hidden)],
  ['a length that is too large for any number', request(['Content-Length: 99999999999999999999999'], body + hidden)],
  ['an unknown coding', request(['Transfer-Encoding: xchunked', length], body + hidden)],
  ['a coding after chunked', request(['Transfer-Encoding: chunked, identity'], chunked + hidden)],
  ['a coding twice', request(['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], chunked + hidden)],
  ['a coding in quotes', request(['Transfer-Encoding: "chunked"'], chunked + hidden)],
  ['a vertical tab before chunked', request(['Transfer-Encoding: \x0bchunked', length], body + hidden)],
  ['a space before the colon', request(['Transfer-Encoding : chunked', length], chunked + hidden)],
  ['a space before the colon of the length', request([`Content-Length : ${body.length}`], body + hidden)],
  ['a folded header', request(['X-Long: a', ' Transfer-Encoding: chunked', length], body + hidden)],
  ['a folded coding', request(['Transfer-Encoding:', ' chunked', length], body + hidden)],
  ['a line that ends in LF alone', request([`X-A: b\n${length}`], body + hidden)],
  ['a line that ends in CR alone', request([`X-A: b\rTransfer-Encoding: chunked`, length], body + hidden)],
  ['a NUL in a header', request(['X-A: b\0c', length], body + hidden)],
  ['a NUL in a header name', request(['X-\0A: b', length], body + hidden)],
  ['a header without a name', request([': b', length], body + hidden)],
  ['huge headers', request([`X-Long: ${'a'.repeat(100_000)}`, length], body + hidden)],
  ['very many headers of great sum', request([...Array<string>(5000).fill('X-A: b'), length], body + hidden)],
  ['a chunk size with a sign', request(['Transfer-Encoding: chunked'], `+${chunked}${hidden}`)],
  ['a chunk size in 0x', request(['Transfer-Encoding: chunked'], `0x${chunked}${hidden}`)],
  ['a chunk longer than it says', request(['Transfer-Encoding: chunked'], `4\r\n${body}\r\n0\r\n\r\n${hidden}`)],
  ['a chunk size that overflows', request(['Transfer-Encoding: chunked'], `ffffffffffffffff1\r\n${body}${hidden}`)],
  ['a space in the path', request([length], body + hidden, `POST ${path} /x HTTP/1.1`)],
  ['an HTTP version that is not one', request([length], body + hidden, `POST ${path} HTTP/9.9`)],
  ['a method in small letters', request([length], body + hidden, `post ${path} HTTP/1.1`)],
];

describe('a request whose end is open to two readings is refused, the engine sees none of it, and the connection ends:', () => {
  it.each(ambiguous)('%s', async (_what, bytes) => {
    const text = await rawExchange(gateway.port, bytes);
    expect(['400', '431']).toContain(statusesIn(text).join());
    expect(text).toMatch(/^connection: close\r$/im);
    expect(text).not.toContain('chatcmpl');
    expect(gateway.engine.seen).toEqual([]);
  });

  it.each(ambiguous)('%s, behind one that was answered', async (_what, bytes) => {
    const text = await rawExchange(gateway.port, request([length], body) + bytes);
    expect(['200,400', '200,431']).toContain(statusesIn(text).join());
    expect(text).toMatch(/^connection: close\r$/im);
    expect(gateway.engine.seen).toHaveLength(1);
  });
});

describe('a request that has one reading is one request for the engine:', () => {
  it.each<[string, string]>([
    ['with a length', request([length], body)],
    ['in chunks', request(['Transfer-Encoding: chunked'], chunked)],
    [
      'in chunks with extensions and trailers',
      request(
        ['Transfer-Encoding: chunked'],
        `${body.length.toString(16)};a=b\r\n${body}\r\n0\r\nX-Trailer: 1\r\n\r\n`,
      ),
    ],
    ['with CHUNKED in large letters', request(['Transfer-Encoding: CHUNKED'], chunked)],
    ['with a path in absolute form', request([length], body, `POST http://x${path} HTTP/1.1`)],
    ['with a wish to upgrade', request([length, 'Connection: Upgrade', 'Upgrade: h2c'], body)],
  ])('%s', async (_what, bytes) => {
    const text = await rawExchange(gateway.port, bytes);
    expect(statusesIn(text)).toHaveLength(1);
    expect(gateway.engine.seen.length).toBeLessThanOrEqual(1);
    for (const seen of gateway.engine.seen) {
      expect(seen).toMatchObject({ path, body });
      expect(seen.headers['content-length']).toBe(String(body.length));
      expect(seen.headers['transfer-encoding']).toBeUndefined();
    }
  });

  it('and what a body holds is never taken for a request', async () => {
    const carrier = `{"model":"chatty","messages":[{"role":"user","content":${JSON.stringify(hidden)}}]}`;
    await rawExchange(gateway.port, request([`Content-Length: ${carrier.length}`], carrier));
    expect(gateway.engine.only().body).toBe(carrier);
  });

  it('two on one connection are two, each with its own body', async () => {
    const one = request([length], body);
    expect(statusesIn(await rawExchange(gateway.port, one + one))).toEqual([200, 200]);
    expect(gateway.engine.seen.map((seen) => seen.body)).toEqual([body, body]);
  });

  it('a body sent with GET is not the next request', async () => {
    const text = await rawExchange(
      gateway.port,
      request([`Content-Length: ${hidden.length}`], hidden, 'GET /v1/models HTTP/1.1'),
    );
    expect(statusesIn(text)).toHaveLength(1);
    expect(gateway.engine.seen).toEqual([]);
  });

  it('what follows a refused body is not taken for a request', async () => {
    const refused = request([`Content-Length: ${hidden.length}`], hidden).replace(token('full'), 'nope');
    expect(statusesIn(await rawExchange(gateway.port, refused))).toEqual([401]);
    expect(gateway.engine.seen).toEqual([]);
  });

  it("no header of the client's reaches the engine, so none can end a line there", async () => {
    const answer = await gateway.post(path, body, {
      'x-a': 'b\u00e9\u0085c',
      'content-type': 'text/plain; x="\u00ff"',
    });
    await answer.text();
    expect(gateway.engine.only().headers).not.toHaveProperty('x-a');
    expect(gateway.engine.only().headers['content-type']).toBe('application/json');
  });
});
