import { once } from 'node:events';
import type { Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HttpRequest, HttpResponse } from './message.ts';
import { nodeHandler } from './node-message.ts';
import { createHttpServer } from './node-server.ts';
import { type PlainRequests, takePlainRequests } from './plain-requests.ts';

let server: Server;
let plain: PlainRequests;
let socket: Socket;
/** What was answered, by whose parser. */
let heard: string[];
let got: string;
/** What the handler does with a request for /v1/own. */
let own: (response: HttpResponse) => void;

const answer = (by: string) => (request: HttpRequest, response: HttpResponse) => {
  void Promise.resolve(request.readBody(1_000_000)).then((body) => {
    heard.push(`${by} ${request.method} ${request.url} ${body?.length ?? 'left'}`);
    if (request.url === '/v1/own') return own(response);
    const text = Buffer.from(`answer to ${request.url}`);
    response.setHeader('content-length', String(text.length));
    response.writeHead(200);
    response.end(text);
  });
};

beforeEach(async () => {
  heard = [];
  got = '';
  server = createHttpServer(nodeHandler(answer('node')));
  plain = takePlainRequests(server, (url) => url.startsWith('/v1/'), answer('plain'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('data', (bytes: Buffer) => {
    got += bytes.toString('latin1');
  });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
});
afterEach(async () => {
  socket.destroy();
  plain.closeIdle();
  plain.closeAll();
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

const post = (path: string, body: string, ...more: string[]) =>
  [`POST ${path} HTTP/1.1`, 'Host: a', `Content-Length: ${body.length}`, ...more, '', body].join('\r\n');

it('an answer that has to wait for something goes out after it, whole and once', async () => {
  let keep: (() => void)[] = [];
  own = (response) => {
    response.setHeader('content-length', '6');
    response.writeHead(200);
    response.write(Buffer.from('be'));
    response.after((then) => void keep.push(then));
    const lent = Buffer.from('fore');
    response.end(lent);
    response.end(Buffer.from('again'));
    lent.fill('x');
  };
  socket.write(post('/v1/own', '{}'));
  await until(() => got.endsWith('be'), 'what was written before');
  await sleep(20);
  expect(got.endsWith('be')).toBe(true);
  const kept = keep;
  keep = [];
  for (const then of kept) then();
  await until(() => got.endsWith('before'), 'the rest');
  socket.write(post('/v1/next', '{}'));
  await until(() => got.includes('answer to /v1/next'), 'the next answer');
  expect(got).not.toContain('again');
});

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let waited = 0; !condition(); waited += 5) {
    if (waited > 3000) throw new Error(`not in time: ${what}; heard ${heard.join()}; got ${got}`);
    await sleep(5);
  }
}

describe('a plain request', () => {
  it('is answered past the parser of Node, and the next one on its connection too', async () => {
    socket.write(post('/v1/a', 'body'));
    await until(() => got.endsWith('answer to /v1/a'), 'the first answer');
    expect(got).toMatch(/^HTTP\/1\.1 200 OK\r\ncontent-length: 15\r\ndate: .* GMT\r\nconnection: keep-alive\r\n/);
    socket.write(post('/v1/b', ''));
    await until(() => got.endsWith('answer to /v1/b'), 'the second answer');
    expect(heard).toEqual(['plain POST /v1/a 4', 'plain POST /v1/b 0']);
  });

  it('may come in pieces, its body alone', async () => {
    const text = post('/v1/a', 'x'.repeat(5000));
    const cut = text.indexOf('\r\n\r\n') + 4;
    for (const piece of [text.slice(0, cut), text.slice(cut, cut + 7), text.slice(cut + 7, -1), text.slice(-1)]) {
      socket.write(piece);
      await sleep(10);
    }
    await until(() => got.endsWith('answer to /v1/a'), 'an answer');
    expect(heard).toEqual(['plain POST /v1/a 5000']);
  });

  it('that comes before the last one is answered waits its turn', async () => {
    let first: HttpResponse | null = null;
    own = (response) => {
      first = response;
    };
    socket.write(post('/v1/own', '') + post('/v1/b', 'b') + post('/v1/c', 'c'));
    await until(() => first !== null, 'the first');
    await sleep(20);
    expect(heard).toHaveLength(1);
    first = first as unknown as HttpResponse;
    first.setHeader('content-length', '3');
    first.writeHead(200);
    first.end(Buffer.from('own'));
    await until(() => got.endsWith('answer to /v1/c'), 'all answers');
    expect(got.match(/own|answer to \/v1\/\w/g)).toEqual(['own', 'answer to /v1/b', 'answer to /v1/c']);
  });

  it('whose client leaves in the middle of its body is told as left', async () => {
    socket.write(post('/v1/a', 'x'.repeat(100)).slice(0, -50));
    await sleep(20);
    socket.destroy();
    await until(() => heard.length === 1, 'the request');
    expect(heard).toEqual(['plain POST /v1/a left']);
  });

  it('learns of its client leaving during the answer', async () => {
    let closed: boolean | null = null;
    own = (response) => {
      response.onClose(() => {
        closed = response.finished;
      });
      response.writeHead(200);
      response.write(Buffer.from('half'));
    };
    socket.write(post('/v1/own', ''));
    await until(() => got.includes('half'), 'the first half');
    expect(got).toMatch(/transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n$/);
    socket.destroy();
    await until(() => closed !== null, 'that it closed');
    expect(closed).toBe(false);
  });

  it('gets pieces of any size in chunks, and an end', async () => {
    own = (response) => {
      response.writeHead(200);
      response.flushHeaders();
      response.write(Buffer.alloc(40_000, 'x'));
      response.write(Buffer.alloc(0));
      response.end(Buffer.from('last'));
    };
    socket.write(post('/v1/own', ''));
    await until(() => got.endsWith('0\r\n\r\n'), 'the end');
    expect(got.slice(got.indexOf('\r\n\r\n') + 4)).toBe(`9c40\r\n${'x'.repeat(40_000)}\r\n4\r\nlast\r\n0\r\n\r\n`);
  });

  it('can have no header that ends a line', async () => {
    let refusal: unknown;
    own = (response) => {
      try {
        response.setHeader('x-a', 'b\r\nx-c: d');
      } catch (error) {
        refusal = error;
      }
      response.destroy();
    };
    socket.write(post('/v1/own', ''));
    await until(() => refusal !== undefined, 'a refusal');
    expect(refusal).toBeInstanceOf(TypeError);
  });
});

describe('a connection goes to the parser of Node, with all that came on it,', () => {
  it.each([
    ['at another path', post('/admin', 'body'), 'node POST /admin 4'],
    [
      'at chunks',
      'POST /v1/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n',
      'node POST /v1/a 4',
    ],
    ['at a large body', post('/v1/a', 'x'.repeat(300_000)), 'node POST /v1/a 300000'],
  ])('%s', async (what, text, told) => {
    socket.write(text);
    await until(() => heard.length === 1, what);
    expect(heard).toEqual([told]);
    socket.write(post('/v1/b', 'b'));
    await until(() => got.endsWith('answer to /v1/b'), 'the next answer');
  });

  it('at a head that comes in pieces', async () => {
    const text = post('/v1/a', 'body');
    socket.write(text.slice(0, 30));
    await sleep(20);
    socket.write(text.slice(30));
    await until(() => got.endsWith('answer to /v1/a'), 'an answer');
    expect(heard).toEqual(['node POST /v1/a 4']);
  });

  it('behind plain ones that came in the same piece', async () => {
    socket.write(post('/v1/a', 'a') + post('/other', 'xy') + post('/v1/b', 'b'));
    await until(() => got.endsWith('answer to /v1/b'), 'all answers');
    expect(heard).toEqual(['plain POST /v1/a 1', 'node POST /other 2', 'node POST /v1/b 1']);
  });

  it('and what is no HTTP gets its 400', async () => {
    socket.write(`${post('/v1/a', 'a')}nonsense\r\n\r\n`);
    await until(() => got.includes('HTTP/1.1 400'), 'a refusal');
    expect(heard).toEqual(['plain POST /v1/a 1']);
  });
});

describe('a server that closes', () => {
  it('ends idle connections, and busy ones with their answer', async () => {
    let late: HttpResponse | null = null;
    own = (response) => {
      late = response;
    };
    const idle = connect((server.address() as AddressInfo).port, '127.0.0.1');
    await once(idle, 'connect');
    socket.write(post('/v1/own', ''));
    await until(() => late !== null, 'the request');
    const idleClosed = once(idle.resume(), 'close');
    plain.closeIdle();
    await idleClosed;
    const closed = once(socket, 'close');
    late = late as unknown as HttpResponse;
    late.setHeader('content-length', '3');
    late.writeHead(200);
    late.end(Buffer.from('own'));
    await closed;
    expect(got).toMatch(/connection: close\r\n\r\nown$/);
  });
});
