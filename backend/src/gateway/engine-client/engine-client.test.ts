import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../../tests/fixtures/scripted-engine.ts';
import type { AnswerSink } from './connection.ts';
import { EngineClient } from './engine-client.ts';

let server: Server;
let client: EngineClient;
let sockets: Socket[];
/** Every request's first line that the engine has read. */
let seen: string[];
/** What the engine does with the n-th request. */
let answer: (socket: Socket, request: number) => void;

beforeEach(async () => {
  client = new EngineClient();
  sockets = [];
  seen = [];
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => {
      for (const [line] of bytes.toString('latin1').matchAll(/(GET|POST) \S+ HTTP\/1\.1/g)) {
        seen.push(line);
        answer(socket, seen.length);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  client.close();
  for (const socket of sockets) socket.destroy();
  server.close();
  await once(server, 'close');
});

interface Heard {
  readonly abort: () => void;
  readonly resume: () => void;
  /** `200 body`, or `failed: why`, with `(begun)` where the engine may have read the request. */
  readonly end: Promise<string>;
  body: string;
}

function ask(path = '/v1/x', wantsMore: () => boolean = () => true): Heard {
  const { port } = server.address() as AddressInfo;
  let status = 0;
  let settle: (end: string) => void = () => undefined;
  const end = new Promise<string>((resolve) => {
    settle = resolve;
  });
  const url = `http://127.0.0.1:${port}`;
  const request = { url, ca: null, method: 'POST', path, headers: {}, body: Buffer.from('{}') } as const;
  const sink: AnswerSink = {
    onHead: (told) => {
      status = told;
    },
    onData: (bytes) => {
      heard.body += bytes.toString('latin1');
      return wantsMore();
    },
    onEnd: () => settle(`${status} ${heard.body}`),
    onFail: (error, begun) => settle(`failed: ${error.message}${begun ? ' (begun)' : ''}`),
  };
  const call = client.send(request, sink);
  const heard: Heard = { abort: () => call.abort(sink), resume: () => call.resume(sink), end, body: '' };
  return heard;
}

const ok = 'HTTP/1.1 200 OK\r\n';
const sized = (body: string, more = '') => `${ok}${more}Content-Length: ${body.length}\r\n\r\n${body}`;

describe('a connection', () => {
  it.each<[string, string, number]>([
    ['carries the next request after a length', sized('hi'), 1],
    [
      'carries the next request after chunks',
      `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-A: b\r\n\r\n`,
      1,
    ],
    ['is not used again where the engine says that it will close', sized('hi', 'Connection: close\r\n'), 2],
    ['is not used again after HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi', 2],
    ['is not used again where more came than was asked', `${sized('hi')}${sized('forged')}`, 2],
  ])('%s', async (_what, first, connections) => {
    answer = (socket, request) => void socket.write(request === 1 ? first : sized('own'), 'latin1');
    expect(await ask().end).toBe('200 hi');
    expect(await ask().end).toBe('200 own');
    expect(sockets).toHaveLength(connections);
  });

  it('that ends with the body is not used again', async () => {
    answer = (socket, request) => void (request === 1 ? socket.end(`${ok}\r\nhi`) : socket.write(sized('own')));
    expect(await ask().end).toBe('200 hi');
    expect(await ask().end).toBe('200 own');
    expect(sockets).toHaveLength(2);
  });

  it('that the engine closed while it was idle is not used again', async () => {
    answer = (socket) => void socket.write(sized('hi'));
    expect(await ask().end).toBe('200 hi');
    const [first] = sockets;
    first?.end();
    await once(first ?? server, 'close');
    expect(await ask().end).toBe('200 hi');
    expect(sockets).toHaveLength(2);
  });

  it('that the engine closes just as the next request comes fails that one, which is sent once', async () => {
    answer = (socket, request) => void (request === 1 ? socket.write(sized('hi')) : socket.destroy());
    expect(await ask().end).toBe('200 hi');
    expect(await ask().end).toMatch(/^failed: .*\(begun\)$/);
    expect(seen).toHaveLength(2);
  });

  it('is closed before the engine would, where the engine says when', async () => {
    answer = (socket) => void socket.write(sized('hi', 'Keep-Alive: timeout=1\r\n'));
    expect(await ask().end).toBe('200 hi');
    await eventually('the idle connection is closed', () => sockets[0]?.destroyed === true, 900);
  });

  it('is opened for each request that comes while the others are under way, and then kept', async () => {
    answer = (socket, request) => void setTimeout(() => socket.write(sized(`${request}`)), 20);
    const ends = await Promise.all([ask().end, ask().end, ask().end]);
    expect(ends.sort()).toEqual(['200 1', '200 2', '200 3']);
    await Promise.all([ask().end, ask().end]);
    expect(sockets).toHaveLength(3);
  });
});

describe('an answer that does not come whole fails:', () => {
  it.each<[string, string]>([
    ['nothing', ''],
    ['half a head', 'HTTP/1.1 200'],
    ['half a body', `${ok}Content-Length: 10\r\n\r\nhalf`],
    ['chunks without the last one', `${ok}Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n`],
  ])('%s', async (_what, text) => {
    answer = (socket) => void socket.end(text);
    expect(await ask().end).toBe('failed: the connection was closed before the end of the answer (begun)');
  });

  it('nobody listens, so the engine cannot have begun', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port } = closed.address() as AddressInfo;
    closed.close();
    await once(closed, 'close');
    const begun = await new Promise((resolve) => {
      const sink = { onHead: () => undefined, onData: () => true, onEnd: () => resolve('ended') };
      const request = { ca: null, method: 'GET', path: '/', headers: {}, body: Buffer.alloc(0) } as const;
      client.send({ ...request, url: `http://127.0.0.1:${port}` }, { ...sink, onFail: (_error, was) => resolve(was) });
    });
    expect(begun).toBe(false);
  });
});

describe('a call', () => {
  it('that is aborted closes its connection, and nothing more is heard of it', async () => {
    answer = (socket) => void socket.write(`${ok}Content-Length: 10\r\n\r\nhalf`);
    const heard = ask();
    await eventually('the first bytes', () => heard.body === 'half');
    heard.abort();
    await eventually('the engine is told', () => sockets[0]?.destroyed === true);
    expect(await Promise.race([heard.end, 'silence'])).toBe('silence');
  });

  it('that has ended cannot abort the next one on its connection', async () => {
    answer = (socket, request) => void setTimeout(() => socket.write(sized('hi')), request === 1 ? 0 : 20);
    const first = ask();
    await first.end;
    const second = ask();
    first.abort();
    expect(await second.end).toBe('200 hi');
    expect(sockets).toHaveLength(1);
  });

  it('that wants no more is sent no more until it does', async () => {
    const size = 32 * 1024 * 1024;
    answer = (socket) => void socket.write(sized('x'.repeat(size)));
    const heard = ask('/v1/x', () => false);
    await eventually('the first bytes', () => heard.body !== '');
    const { length } = heard.body;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(heard.body.length).toBe(length);
    expect(length).toBeLessThan(size);
    const resuming = setInterval(() => heard.resume(), 0);
    expect((await heard.end).length).toBe('200 '.length + size);
    clearInterval(resuming);
  });
});
