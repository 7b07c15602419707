import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type EngineProcess, startEngineProcess } from './engine-process.ts';
import { ServedCortex } from './served-cortex.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const cortex = new ServedCortex();
beforeAll(() => cortex.serve('http://127.0.0.1:9'));
afterAll(() => cortex.stop());
beforeEach(() => cortex.newKey());

describe('an engine that is killed', () => {
  let engine: EngineProcess;
  beforeEach(async () => {
    engine = await startEngineProcess('127.0.0.1');
    await cortex.askEngine(engine.url);
  });
  afterEach(() => engine.kill());

  it('ends a stream with an error event, and a request before its first byte with 502', async () => {
    const waiting = cortex.ask('wait');
    const stream = await cortex.ask('go', { stream: true });
    const text = stream.text();
    await pause(300);
    await engine.kill();

    const events = (await text).trimEnd().split('\n\n');
    expect(events.length).toBeGreaterThan(5);
    expect(JSON.parse(events.at(-1)?.replace(/^data: /, '') ?? '')).toMatchObject({
      error: { code: 'engine_interrupted', type: 'server_error' },
    });
    const answer = await waiting;
    expect(answer.status).toBe(502);
    expect(await answer.json()).toMatchObject({ error: { code: 'engine_unreachable', type: 'server_error' } });

    const rows = await cortex.rows(2);
    const rowOf = (answered: Response) => rows.find((row) => row.request_id === answered.headers.get('x-request-id'));
    expect(rowOf(stream)).toMatchObject({ outcome: 'engine_error', cause: 'engine_interrupted', estimated: true });
    expect(rowOf(stream)?.completion_tokens).toBeGreaterThan(5);
    expect(rowOf(answer)).toMatchObject({ outcome: 'engine_error', cause: 'engine_unreachable', status: 502 });
  });
});

describe('an engine that falls silent', () => {
  let server: Server;
  let head: string;
  const sockets = new Set<Socket>();
  beforeEach(async () => {
    head = '';
    server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (bytes) => {
        // Whether it is there is asked from time to time.
        if (bytes.toString('latin1').startsWith('GET')) socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
        else {
          sockets.add(socket);
          socket.write(head);
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    await cortex.askEngine(`http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`);
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    await new Promise((resolve) => server.close(resolve));
  });

  it('counts as hung after the time that its first byte may take, and gives its place to the next', async () => {
    await cortex.treat({ max_concurrent: 1, first_byte_timeout_seconds: 1 });
    const beganAt = performance.now();
    const answers = await Promise.all([cortex.ask('one'), cortex.ask('two')]);
    const tookMs = performance.now() - beganAt;
    for (const answer of answers) {
      expect(answer.status).toBe(504);
      expect(await answer.json()).toMatchObject({ error: { code: 'engine_timeout', type: 'server_error' } });
    }
    expect(tookMs).toBeGreaterThan(1900);
    expect(tookMs).toBeLessThan(3500);
    expect(answers.map((answer) => answer.headers.get('x-cortex-queue-position')).sort()).toEqual(['1', null]);
    for (const row of await cortex.rows(2))
      expect(row).toMatchObject({ outcome: 'engine_error', cause: 'engine_timeout', status: 504 });
    expect(sockets.size).toBe(2);
    expect([...sockets].every((socket) => socket.closed || socket.readableEnded)).toBe(true);
  });

  it('gives a stream that has begun an error event after the time between two pieces', async () => {
    head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {"choices":[]}\n\n';
    await cortex.treat({ idle_timeout_seconds: 1 });
    const answer = await cortex.ask('one', { stream: true });
    expect(await answer.text()).toMatch(/^data: \{"choices":\[\]\}\n\n[\s\S]*data: \{"error":.*"engine_timeout"/);
    expect(await cortex.rows(1)).toMatchObject([{ outcome: 'engine_error', cause: 'engine_timeout' }]);
  });
});
