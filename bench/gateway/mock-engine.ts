import { createServer, type Socket } from 'node:net';
import { announce } from './announce.ts';
import { jsonAnswer, modelName, streamEvent } from './answers.ts';
import { MessageReader } from './message-reader.ts';
import { Pace } from './pace.ts';

/*
 * An engine that takes next to no time, in a process of its own. What a request wants stands in the first kilobyte of its
 * body: `user` is the lane that the answer is for; with `"stream":true`, `max_tokens` is the number of tokens, one an
 * event, and `seed` the events in a second. The first event goes out at once.
 * It knows only keys that begin with `via-`: each target adds its own, and GET /counts tells how many requests came with
 * each, so that a target that was left out on the way is noticed.
 */

const counts = new Map<string, number>();
const pace = new Pace();
const answers = new Map<string, string>();

const document = (status: string, body: string): string =>
  `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
const streamHead =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n';
const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
const lastChunk = '0\r\n\r\n';

function knownAnswer(lane: string): string {
  const known = answers.get(lane) ?? document('200 OK', jsonAnswer(lane));
  answers.set(lane, known);
  return known;
}

function complete(socket: Socket, head: string, body: Buffer): void {
  const key = /\r\nauthorization: *Bearer (via-[a-z-]+)\r\n/i.exec(head)?.[1];
  if (key === undefined) {
    socket.write(document('401 Unauthorized', '{"error":{"message":"This key is not of a target."}}'));
    return;
  }
  counts.set(key, (counts.get(key) ?? 0) + 1);
  const wish = body.toString('latin1', 0, 1024);
  const lane = /"user": ?"(lane-\d{4})"/.exec(wish)?.[1] ?? '';
  if (/"stream": ?true/.test(wish)) stream(socket, wish, lane);
  else socket.write(knownAnswer(lane), 'latin1');
}

function stream(socket: Socket, wish: string, lane: string): void {
  const tokens = Number(/"max_tokens": ?(\d+)/.exec(wish)?.[1] ?? 0);
  const perSecond = Number(/"seed": ?(\d+)/.exec(wish)?.[1] ?? 1);
  const shape = { lane, tokens, withUsage: /"include_usage": ?true/.test(wish) };
  let place = 0;
  socket.write(streamHead + chunk(streamEvent(shape, place++) ?? ''), 'latin1');
  pace.every(1000 / perSecond, () => {
    if (socket.destroyed) return false;
    if (place < tokens) {
      socket.write(chunk(streamEvent(shape, place++) ?? ''), 'latin1');
      return true;
    }
    let end = '';
    for (let event = streamEvent(shape, place); event !== null; event = streamEvent(shape, place)) {
      end += chunk(event);
      place += 1;
    }
    socket.write(end + lastChunk, 'latin1');
    return false;
  });
}

function get(socket: Socket, path: string | undefined): void {
  if (path === '/health') socket.write(document('200 OK', '{}'));
  else if (path === '/v1/models')
    socket.write(document('200 OK', JSON.stringify({ object: 'list', data: [{ id: modelName, object: 'model' }] })));
  else if (path === '/counts') socket.write(document('200 OK', JSON.stringify(Object.fromEntries(counts))));
  else socket.write(document('404 Not Found', '{}'));
}

const server = createServer({ noDelay: true }, (socket) => {
  let head = '';
  let pieces: Buffer[] = [];
  const reader = new MessageReader('request', {
    head: (text) => {
      head = text;
      pieces = [];
    },
    body: (bytes) => pieces.push(bytes),
    end: () => {
      const [method, path] = head.split(' ', 2);
      if (method === 'GET') get(socket, path);
      else if (path === '/v1/chat/completions')
        complete(socket, head, pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces));
      else socket.write(document('404 Not Found', '{}'));
    },
  });
  socket.on('error', () => undefined);
  socket.on('data', (bytes: Buffer) => {
    try {
      reader.push(bytes);
    } catch {
      socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    }
  });
});
server.listen(0, '127.0.0.1', 4096, () => {
  const address = server.address();
  announce({ port: typeof address === 'object' && address !== null ? address.port : 0 });
});
