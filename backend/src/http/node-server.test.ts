import { once } from 'node:events';
import type { Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { errorBody } from '../../../contract/errors.ts';
import { createHttpServer } from './node-server.ts';

let server: Server;
let port: number;
/** What the handler has heard of. */
let heard: string[];

beforeEach(async () => {
  heard = [];
  server = createHttpServer((request, response) => {
    heard.push(`${request.method} ${request.headers.host} ${request.url}`);
    if (request.url === '/stream') response.write('half');
    else request.resume().on('end', () => response.end('answered'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

/** All that the server sends to these bytes until it closes the connection; `later` follows its first answer. */
async function exchange(bytes: string, later = ''): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('error', () => undefined);
  socket.on('data', (data: Buffer) => {
    text += data.toString('latin1');
    if (later !== '') socket.write(later);
    later = '';
  });
  socket.write(bytes, 'latin1');
  await once(socket, 'close');
  return text;
}

const hidden = 'GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n';
const head = 'POST /v1/x HTTP/1.1\r\nHost: a\r\n';

describe('what is no request is refused with the shape of every error, and the connection ends:', () => {
  it.each([
    ['bytes of another protocol', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['a version that is none', 'GET / HTTP/9.9\r\n\r\n', 400],
    ['a length and chunks', `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`, 400],
    ['two lengths', `${head}Content-Length: 0\r\nContent-Length: 5\r\n\r\n${hidden}`, 400],
    ['a folded header', `${head}X-A: b\r\n c\r\n\r\n${hidden}`, 400],
    ['a line that ends in LF', `${head}X-A: b\nContent-Length: 0\r\n\r\n${hidden}`, 400],
    ['a chunk size that is none', `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n${hidden}`, 400],
    ['a chunk size below zero', `${head}Transfer-Encoding: chunked\r\n\r\n-1\r\n${hidden}`, 400],
    ['a chunk longer than it says', `${head}Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n${hidden}`, 400],
    ['no Host', `GET / HTTP/1.1\r\n\r\n${hidden}`, 400],
    ['two Hosts', `GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n${hidden}`, 400],
    ['headers without end', `${head}X-A: ${'a'.repeat(64 * 1024)}\r\n\r\n${hidden}`, 431],
  ])('%s', async (_what, bytes, status) => {
    const text = await exchange(bytes);
    const [, answer = '', body = ''] = /^([\s\S]*?)\r\n\r\n([\s\S]*)$/.exec(text) ?? [];
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).toMatch(/^connection: close$/m);
    const { error } = errorBody.parse(JSON.parse(body));
    expect(error.type).toBe('invalid_request_error');
    expect(answer).toContain(`x-request-id: ${error.request_id}`);
    expect(heard.join()).not.toContain('/hidden');
  });
});

it('what is no request behind a good one is refused after that one was answered', async () => {
  const text = await exchange('GET /first HTTP/1.1\r\nHost: a\r\n\r\n', 'nonsense\r\n\r\n');
  expect(text).toMatch(/^HTTP\/1\.1 200 [\s\S]*answered[\s\S]*HTTP\/1\.1 400 /);
});

it('nothing is written into an answer that has begun', async () => {
  const text = await exchange('GET /stream HTTP/1.1\r\nHost: a\r\n\r\n', 'nonsense\r\n\r\n');
  expect(text).toContain('half');
  expect(text).not.toContain('400');
});

it('a client that goes on sending after its refusal still reads it, and is cut off', async () => {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('error', () => undefined).on('data', (data) => (text += data.toString()));
  const more = setInterval(() => socket.write('more nonsense'), 20);
  await once(socket, 'close');
  clearInterval(more);
  expect(text.match(/HTTP\/1\.1 400/g)).toHaveLength(1);
  expect(text).toMatch(/^HTTP\/1\.1 400 [\s\S]*}$/);
});

it.each([
  ['http://other:8084/v1/models?a=b', 'other:8084 /v1/models?a=b'],
  ['HTTPS://other/v1', 'other /v1'],
  ['http://other', 'other /'],
  ['http://other?a', 'other /?a'],
  ['/http://other/', 'a /http://other/'],
])('a target of %s is read as %s', async (target, read) => {
  await exchange(`GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  expect(heard).toEqual([`GET ${read}`]);
});

it('HTTP/1.0 needs no Host', async () => {
  expect(await exchange('GET / HTTP/1.0\r\n\r\n')).toContain('answered');
});

it('a body that trickles is given up after its time, however often a byte comes', async () => {
  const patient = createHttpServer((request) => void request.resume(), { requestMs: 300, checkEveryMs: 50 });
  patient.listen(0, '127.0.0.1');
  await once(patient, 'listening');
  const socket = connect((patient.address() as AddressInfo).port, '127.0.0.1');
  let text = '';
  socket
    .on('error', () => undefined)
    .on('data', (data: Buffer) => {
      text += data.toString('latin1');
    });
  socket.write(`${head}Content-Length: 1000\r\n\r\n`);
  const trickle = setInterval(() => socket.write('x'), 40);
  await once(socket, 'close');
  clearInterval(trickle);
  patient.close();
  expect(text).toMatch(/^HTTP\/1\.1 408 /);
  expect(errorBody.parse(JSON.parse(text.slice(text.indexOf('\r\n\r\n')))).error.code).toBe('request_timeout');
});
