import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PlainHeads, readPlainHead } from './plain-head.ts';

const read = (text: string) => readPlainHead(Buffer.from(text, 'latin1'));
const post = (...lines: string[]) => `POST /v1/chat/completions HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;

describe('a plain head', () => {
  it('is a method, a target, fields and how long the body is', () => {
    const text = post(
      'Host: a',
      'Authorization:  Bearer x ',
      'Content-Length: 12',
      'Connection: Keep-Alive',
      'X-Empty:',
    );
    expect(read(`${text}{"model":"m"`)).toEqual({
      method: 'POST',
      url: '/v1/chat/completions',
      headers: {
        host: 'a',
        authorization: 'Bearer x',
        connection: 'Keep-Alive',
        'x-empty': '',
      },
      headBytes: text.length,
      bodyBytes: 12,
    });
  });

  it('of a GET has no body', () => {
    expect(read('GET /v1/models?x=1 HTTP/1.1\r\nhost: a\r\n\r\n')).toMatchObject({
      url: '/v1/models?x=1',
      bodyBytes: 0,
    });
  });

  it.each([
    ['that has not come whole', 'POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n'],
    ['of another method', 'PUT /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n'],
    ['of an older HTTP', 'POST /v1/x HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\n\r\n'],
    ['whose target names a host', 'POST http://a/v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n'],
    ['behind an empty line', '\r\nPOST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n'],
    ['with two spaces', 'POST  /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n'],
    ['without Host', post('Content-Length: 1')],
    ['with two Hosts', post('Host: a', 'Host: a', 'Content-Length: 1')],
    ['without a length', post('Host: a')],
    ['with two lengths', post('Host: a', 'Content-Length: 1', 'content-length: 1')],
    ['with a list of lengths', post('Host: a', 'Content-Length: 1, 1')],
    ['with a signed length', post('Host: a', 'Content-Length: +1')],
    ['with a hexadecimal length', post('Host: a', 'Content-Length: 0x1')],
    ['with a length that begins with 0', post('Host: a', 'Content-Length: 01')],
    ['with a length beyond all reason', post('Host: a', 'Content-Length: 99999999999999999999')],
    ['with chunks', post('Host: a', 'Transfer-Encoding: chunked')],
    ['with a length and chunks', post('Host: a', 'Content-Length: 1', 'Transfer-Encoding: chunked')],
    ['with a folded line', post('Host: a', 'X: 1', ' 2', 'Content-Length: 1')],
    ['with a space before a colon', post('Host: a', 'Content-Length : 1')],
    ['with a bare line feed', post('Host: a\nX: 1', 'Content-Length: 1')],
    ['with a bare carriage return', post('Host: a\rX: 1', 'Content-Length: 1')],
    ['with a zero byte', post('Host: a', 'X: a\0b', 'Content-Length: 1')],
    ['with a byte above ASCII', post('Host: a', 'X: \xe9', 'Content-Length: 1')],
    ['that is to be closed after', post('Host: a', 'Content-Length: 1', 'Connection: close')],
    ['that asks for another protocol', post('Host: a', 'Content-Length: 1', 'Connection: Upgrade', 'Upgrade: h2c')],
    ['that waits for a word', post('Host: a', 'Content-Length: 1', 'Expect: 100-continue')],
    ['that names what every object has', post('Host: a', 'Content-Length: 1', '__proto__: x')],
    ['of more than 16 KiB', post('Host: a', 'Content-Length: 1', `X: ${'x'.repeat(17_000)}`)],
    ['of a GET with a body', 'GET /v1/models HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n'],
  ])('is none %s', (_what, text) => {
    expect(read(text)).toBeNull();
  });
});

describe('the heads of a connection', () => {
  it('are each what they are alone, whatever came before', () => {
    const lengths = [
      '0',
      '1',
      '9',
      '10',
      '12',
      '100',
      '123456789',
      '1234567890',
      '01',
      '00',
      '',
      '1x',
      '1 ',
      ' 1',
      '-1',
    ];
    const others = ['', 'X-A: 1\r\n', 'X-A: 2\r\n'];
    const texts = [
      'GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET /v1/models HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n',
      ...lengths.flatMap((length) =>
        others.flatMap((other) => [
          `POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n${other}\r\nbody`,
          `POST /v1/x HTTP/1.1\r\nHost: a\r\n${other}Content-Length: ${length}\r\n\r\nbody`,
          `POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n${other}`,
        ]),
      ),
    ];
    for (const first of texts)
      for (const second of texts) {
        const heads = new PlainHeads();
        heads.read(Buffer.from(first));
        expect(heads.read(Buffer.from(second)), JSON.stringify([first, second])).toEqual(read(second));
        expect(heads.read(Buffer.from(first)), JSON.stringify([first, second, first])).toEqual(read(first));
      }
  });

  it('are not read anew where only the length of the body differs', () => {
    const heads = new PlainHeads();
    const first = heads.read(Buffer.from(post('Host: a', 'Content-Length: 1')));
    const second = heads.read(Buffer.from(post('Host: a', 'Content-Length: 20')));
    expect(second?.bodyBytes).toBe(20);
    expect(second?.headers).toBe(first?.headers);
  });
});

describe('beside the parser of Node', () => {
  let server: Server;
  let heard: IncomingMessage | null = null;
  let body = '';

  beforeAll(async () => {
    server = createServer({ requireHostHeader: false }, (request, response) => {
      heard = request;
      request.on('data', (bytes: Buffer) => {
        body += bytes.toString('latin1');
      });
      request.on('end', () => response.end());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  async function nodeReads(text: string): Promise<void> {
    heard = null;
    body = '';
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.on('error', () => undefined).on('data', () => socket.destroy());
    socket.write(text, 'latin1');
    await once(socket, 'close');
  }

  it('what is plain means the same to both, whatever is broken in it', async () => {
    let seed = 20_261_124;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    const pieces = [
      '\r\n',
      '\n',
      '\r',
      ' ',
      '\t',
      ':',
      ',',
      '0',
      '1',
      'a',
      '\0',
      '\x7f',
      '\xe9',
      'chunked',
      '%',
      '#',
      '"',
    ];
    const lines = ['Host: a', 'Content-Length: 4', 'Connection: keep-alive', 'X-A: b, c', 'Transfer-Encoding: chunked'];
    let plain = 0;
    for (let round = 0; round < 3000; round += 1) {
      const picked = lines.filter((_, at) => (at < 2 ? random(12) > 0 : random(3) === 0)).sort(() => random(3) - 1);
      let text = `${random(5) === 0 ? 'GET' : 'POST'} /v1/x?y=${random(99)} HTTP/1.1\r\n${picked.join('\r\n')}\r\n\r\nbody`;
      for (let change = random(3); change > 0; change -= 1) {
        const at = random(text.length);
        const piece = pieces[random(pieces.length)] ?? '';
        text = text.slice(0, at) + piece + text.slice(at + random(2));
      }
      const head = read(text);
      if (head === null || text.length < head.headBytes + head.bodyBytes) continue;
      plain += 1;
      const rest = text.slice(head.headBytes + head.bodyBytes);
      await nodeReads(text.slice(0, text.length - rest.length));
      expect(heard, JSON.stringify(text)).not.toBeNull();
      const { 'content-length': told, ...headers } = { ...heard?.headers };
      expect(headers, JSON.stringify(text)).toEqual(head.headers);
      expect(Number(told ?? 0)).toBe(head.bodyBytes);
      expect([heard?.method, heard?.url, body]).toEqual([
        head.method,
        head.url,
        text.slice(head.headBytes, head.headBytes + head.bodyBytes),
      ]);
    }
    expect(plain).toBeGreaterThan(300);
  });
});
