import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { EngineClient } from './engine-client/engine-client.ts';
import { statusOf } from './status-of.ts';

let server: Server;
let client: EngineClient;
const ask = (path: string) => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return statusOf(client, { url, ca: null, path, headers: {} }, 200);
};

beforeEach(async () => {
  client = new EngineClient();
  server = createServer((request, response) => {
    if (request.url === '/loading') response.writeHead(503).end('{}');
    else if (request.url === '/begins') response.writeHead(200).write('{');
    else if (request.url === '/health') response.end('{"status":"ok"}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  client.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

it('tells the status of an answer', async () => {
  expect(await ask('/health')).toBe(200);
  expect(await ask('/loading')).toBe(503);
});

it('tells none where the answer does not come, or not to its end, in time', async () => {
  expect(await ask('/silent')).toBeNull();
  expect(await ask('/begins')).toBeNull();
});

it('tells none where nobody listens', async () => {
  const gone = { url: 'http://127.0.0.1:1', ca: null, path: '/health', headers: {} };
  expect(await statusOf(client, gone, 200)).toBeNull();
});
