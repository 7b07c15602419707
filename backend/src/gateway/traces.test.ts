import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { GatewayUnderTest, sendJson, token } from '../../../tests/fixtures/scripted-engine.ts';
import { openTraces } from './traces.ts';

const value = z.object({
  stringValue: z.string().optional(),
  intValue: z.union([z.string(), z.number()]).optional(),
  boolValue: z.boolean().optional(),
});
const attributes = z
  .array(z.object({ key: z.string(), value }))
  .transform((all) =>
    Object.fromEntries(
      all.map(({ key, value: { stringValue, intValue, boolValue } }) => [key, stringValue ?? intValue ?? boolValue]),
    ),
  );
const span = z.object({
  traceId: z.string().regex(/^[0-9a-f]{32}$/),
  spanId: z.string().regex(/^[0-9a-f]{16}$/),
  parentSpanId: z.string().optional(),
  name: z.string(),
  kind: z.number(),
  startTimeUnixNano: z.string().regex(/^\d{19}$/),
  endTimeUnixNano: z.string().regex(/^\d{19}$/),
  attributes,
  status: z.object({ code: z.number().optional() }),
});
/** opentelemetry-proto: collector/trace/v1/trace_service.proto as JSON. */
const exportRequest = z.object({
  resourceSpans: z.array(
    z.object({ resource: z.object({ attributes }), scopeSpans: z.array(z.object({ spans: z.array(span) })) }),
  ),
});

/** Speaks OTLP by HTTP, and refuses what is not of its shape. */
class Collector {
  readonly spans: z.infer<typeof span>[] = [];
  readonly services: unknown[] = [];
  readonly headers: unknown[] = [];
  text = '';
  #server: Server | undefined;
  url = '';

  async start(): Promise<void> {
    const server = createServer((request, response) => void this.#take(request, response)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await request.toArray()).toString('utf8');
    this.text += body;
    const given = exportRequest.safeParse(JSON.parse(body));
    if (request.url !== '/v1/traces' || !given.success) return void response.writeHead(400).end(String(given.error));
    this.headers.push(request.headers.authorization);
    for (const { resource, scopeSpans } of given.data.resourceSpans) {
      this.services.push(resource.attributes['service.name']);
      for (const { spans } of scopeSpans) this.spans.push(...spans);
    }
    response.setHeader('content-type', 'application/json').end('{}');
  }

  async close(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((resolve) => this.#server?.close(resolve));
  }
}

let collector: Collector;
let gateway: GatewayUnderTest;
let complaints: string[];
const ask = (headers: Record<string, string> = {}, model = 'chatty') =>
  fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token('full')}`, ...headers },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'a secret question' }] }),
  });

beforeEach(async () => {
  collector = new Collector();
  await collector.start();
  gateway = new GatewayUnderTest();
  complaints = [];
  gateway.traces = await openTraces(
    {
      endpoint: collector.url,
      headers: 'authorization=Bearer%20of-the-collector',
      serviceName: 'cortex',
      version: '1.2.3',
      ratio: 1,
    },
    { warn: (_details, message) => void complaints.push(message) },
  );
  await gateway.start();
  gateway.engine.script = (response) =>
    sendJson(response, { choices: [], usage: { prompt_tokens: 11, completion_tokens: 5, total_tokens: 16 } });
});
afterEach(async () => {
  await gateway.close();
  await gateway.traces?.close();
  await collector.close();
});

const spansOnceClosed = async () => {
  await gateway.traces?.close();
  const server = collector.spans.find(({ kind }) => kind === 2);
  const calls = collector.spans.filter(({ kind }) => kind === 3);
  return { server, calls };
};

it('a request is one span of the server, and below it one of the call to the engine', async () => {
  const answer = await ask();
  await answer.text();
  const { server, calls } = await spansOnceClosed();
  expect(server).toMatchObject({
    name: 'POST /v1/chat/completions',
    attributes: {
      'http.route': '/v1/chat/completions',
      'http.response.status_code': 200,
      'cortex.outcome': 'ok',
      'cortex.request.id': answer.headers.get('x-request-id'),
    },
  });
  expect(calls).toHaveLength(1);
  expect(calls[0]).toMatchObject({
    name: 'chat chatty',
    traceId: server?.traceId,
    parentSpanId: server?.spanId,
    attributes: {
      'gen_ai.operation.name': 'chat',
      'gen_ai.request.model': 'chatty',
      'gen_ai.usage.input_tokens': 11,
      'gen_ai.usage.output_tokens': 5,
      'server.address': '127.0.0.1',
    },
  });
  expect(collector.services).toContain('cortex');
  expect(collector.headers).toContain('Bearer of-the-collector');
});

it("the client's trace goes on, to the engine too", async () => {
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  await (await ask({ traceparent: `00-${traceId}-b7ad6b7169203331-01`, tracestate: 'theirs=1' })).text();
  const { server, calls } = await spansOnceClosed();
  expect(server).toMatchObject({ traceId, parentSpanId: 'b7ad6b7169203331' });
  expect(gateway.engine.seen[0]?.headers).toMatchObject({
    traceparent: `00-${traceId}-${calls[0]?.spanId}-01`,
    tracestate: 'theirs=1',
  });
});

it('a trace that its client does not record is not recorded here', async () => {
  await (await ask({ traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00' })).text();
  expect((await spansOnceClosed()).server).toBeUndefined();
  expect(gateway.engine.seen[0]?.headers.traceparent).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-\w{16}-00$/);
});

it('an engine that fails marks both spans', async () => {
  gateway.engine.script = (response) => void response.destroy();
  await (await ask()).text();
  const { server, calls } = await spansOnceClosed();
  expect(server).toMatchObject({ status: { code: 2 }, attributes: { 'http.response.status_code': 502 } });
  expect(calls.at(-1)).toMatchObject({ status: { code: 2 } });
  expect(calls.at(-1)?.attributes['error.type']).toBe(server?.attributes['error.type']);
});

it("a client's own mistake is no error of the server", async () => {
  await (await ask({}, 'nobody')).text();
  expect((await spansOnceClosed()).server).toMatchObject({
    status: { code: 0 },
    attributes: { 'http.response.status_code': 404, 'error.type': 'model_not_found' },
  });
});

it('neither questions nor keys are sent along', async () => {
  await (await ask()).text();
  await spansOnceClosed();
  expect(collector.text).not.toContain('a secret question');
  expect(collector.text).not.toContain(token('full'));
});

it('a collector that is not there holds no request, and is named', async () => {
  await collector.close();
  const beganAt = performance.now();
  expect((await ask()).status).toBe(200);
  expect(performance.now() - beganAt).toBeLessThan(1000);
  await vi.waitFor(() => expect(gateway.records).toHaveLength(1));
  const complaint = `Traces do not reach the collector at ${collector.url}`;
  await vi.waitFor(() => expect(complaints).toEqual([complaint]), { timeout: 10_000 });
});

it('without a collector the headers of a trace pass through, if they are well formed', async () => {
  await gateway.close();
  await gateway.traces?.close();
  gateway = new GatewayUnderTest();
  await gateway.start();
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  await (await ask({ traceparent })).text();
  await (await ask({ traceparent: 'nonsense' })).text();
  expect(gateway.engine.seen.map(({ headers }) => headers.traceparent)).toEqual([traceparent, undefined]);
});
