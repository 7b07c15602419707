import { EventEmitter, once } from 'node:events';
import { connect } from 'node:net';
import fc from 'fast-check';
import OpenAI from 'openai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { errorBody } from '../../../contract/errors.ts';
import { servingSettings } from '../../../contract/routing.ts';
import {
  engineKey,
  eventually,
  GatewayUnderTest,
  sendFrames,
  sendJson,
  sessionCookie,
  token,
} from '../../../tests/fixtures/scripted-engine.ts';

let gateway: GatewayUnderTest;
const chat = { model: 'chatty', messages: [{ role: 'user' as const, content: 'Hi' }] };
const path = '/v1/chat/completions';
const answer = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1,
  model: 'chatty',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Héllo 🙂' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
};
const delta = (content: string) =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'chatty', choices: [{ index: 0, delta: { content }, finish_reason: null }] })}\n\n`;
const usageChunk = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"chatty","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}\n\n`;
const done = 'data: [DONE]\n\n';

const client = (name = 'full') =>
  new OpenAI({ apiKey: token(name), baseURL: `${gateway.url}/v1`, maxRetries: 0, timeout: 5000 });
const errorOf = async (response: Response) => errorBody.parse(await response.json()).error;

/** What a server sends to these bytes, until it or we close. */
function raw(bytes: string | Buffer, withinMs = 1000): Promise<string> {
  return new Promise((resolve) => {
    const { port, hostname } = new URL(gateway.url);
    const socket = connect(Number(port), hostname);
    let text = '';
    const end = () => {
      socket.destroy();
      resolve(text);
    };
    const timer = setTimeout(end, withinMs);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(text);
    });
    socket.on('data', (data) => {
      text += data.toString('latin1');
      if (/\r\n\r\n[\s\S]*}$/.test(text)) end();
    });
    socket.write(bytes);
  });
}

beforeEach(async () => {
  gateway = new GatewayUnderTest();
  await gateway.start();
});
afterEach(() => gateway.close());

describe('an answer that is one document', () => {
  it('reaches the official client, and its true counts reach the journal', async () => {
    gateway.engine.script = (response) => sendJson(response, answer);
    const got = await client().chat.completions.create(chat);
    expect(got.choices[0]?.message.content).toBe('Héllo 🙂');
    expect(await gateway.record()).toMatchObject({
      key_id: 'key-full',
      user_id: 'user-1',
      organization_id: 'org-1',
      model_id: 'id-chatty',
      served_name: 'chatty',
      endpoint: path,
      streamed: false,
      status: 200,
      outcome: 'ok',
      prompt_tokens: 7,
      completion_tokens: 3,
      estimated: false,
    });
  });

  it("goes to the engine with the client's bytes and the engine's own key, and nothing else of the client", async () => {
    gateway.engine.script = (response) => sendJson(response, answer);
    const body = '{ "model":"chatty",  "seed":12345678901234567890, "messages":[] }';
    await (await gateway.post(path, body, { cookie: 'secret=1', 'x-forwarded-for': '1.2.3.4', 'x-own': 'a' })).text();
    const { body: sent, headers } = gateway.engine.only();
    expect(sent).toBe(body);
    expect(headers.authorization).toBe(`Bearer ${engineKey}`);
    expect(Object.keys(headers).sort()).toEqual([
      'authorization',
      'connection',
      'content-length',
      'content-type',
      'host',
    ]);
  });

  it('tells only the headers that speak of the body, and the request id that the journal has', async () => {
    gateway.engine.script = (response) => {
      response.setHeader('set-cookie', 'a=b');
      response.setHeader('server', 'llama.cpp');
      sendJson(response, answer);
    };
    const response = await gateway.post(path, chat);
    await response.text();
    expect(response.headers.get('set-cookie')).toBeNull();
    expect(response.headers.get('server')).toBeNull();
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(response.headers.get('x-request-id')).toBe((await gateway.record()).request_id);
  });

  it('gives embeddings to the official client', async () => {
    const embedding = Buffer.from(Float32Array.from([0.5, -1]).buffer).toString('base64');
    gateway.engine.script = (response) =>
      sendJson(response, {
        object: 'list',
        model: 'vectors',
        data: [{ object: 'embedding', index: 0, embedding }],
        usage: { prompt_tokens: 4, total_tokens: 4 },
      });
    const got = await client().embeddings.create({ model: 'vectors', input: 'text' });
    expect(got.data[0]?.embedding).toEqual([0.5, -1]);
    expect(await gateway.record()).toMatchObject({ prompt_tokens: 4, completion_tokens: 0, estimated: false });
  });

  it.each(['first', 'last'])('is metered without being kept when it is large and its usage comes %s', async (place) => {
    const data = Array.from({ length: 64 }, () => 'x'.repeat(128 * 1024));
    const usage = { prompt_tokens: 11, total_tokens: 11 };
    gateway.engine.script = (response) =>
      sendJson(response, place === 'first' ? { model: 'vectors', usage, data } : { model: 'vectors', data, usage });
    const text = await (await gateway.post('/v1/embeddings', { model: 'vectors', input: 'a' })).text();
    expect(text.length).toBeGreaterThan(8 * 1024 * 1024);
    expect(await gateway.record()).toMatchObject({ prompt_tokens: 11, estimated: false });
  });
});

describe('a stream', () => {
  it('reaches the official client frame by frame, without the usage chunk that it did not ask for', async () => {
    gateway.engine.script = async (response) => {
      await sendFrames(response, [delta('Hé'), delta('llo 🙂'), usageChunk, done]);
      response.end();
    };
    const chunks = [];
    for await (const chunk of await client().chat.completions.create({ ...chat, stream: true })) chunks.push(chunk);
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content)).toEqual(['Hé', 'llo 🙂']);
    expect(JSON.parse(gateway.engine.only().body)).toEqual({
      ...chat,
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(await gateway.record()).toMatchObject({
      streamed: true,
      outcome: 'ok',
      prompt_tokens: 7,
      completion_tokens: 2,
      estimated: false,
    });
  });

  it('keeps the usage chunk for the client that asks for it, byte for byte', async () => {
    const frames = [delta('a'), usageChunk, done];
    gateway.engine.script = async (response) => {
      await sendFrames(response, frames);
      response.end();
    };
    const asked = { ...chat, stream: true, stream_options: { include_usage: true } };
    expect(await (await gateway.post(path, asked)).text()).toBe(frames.join(''));
    expect(gateway.engine.only().body).toBe(JSON.stringify(asked));
    expect(await gateway.record()).toMatchObject({ prompt_tokens: 7, completion_tokens: 2, estimated: false });
  });

  it.each([
    ['null', '{"model":"chatty","stream":true,"stream_options":null,"seed":12345678901234567890}'],
    [
      'false',
      '{"model":"chatty","stream":true,"stream_options":{"include_usage":false},"seed":12345678901234567890,"x":[{"stream_options":1}]}',
    ],
  ])('asks the engine for usage where the client says %s, and changes no other byte', async (_said, body) => {
    gateway.engine.script = async (response) => {
      await sendFrames(response, [usageChunk, done]);
      response.end();
    };
    expect(await (await gateway.post(path, body)).text()).toBe(done);
    expect(gateway.engine.only().body).toBe(
      body.replace(/"stream_options":(null|\{"include_usage":false\})/, '"stream_options":{"include_usage":true}'),
    );
  });

  it('asks the engine for usage once where a rule of the model has options of its own', async () => {
    const parameters = { stream_options: { default: { include_usage: false, continuous_usage_stats: true } } };
    gateway.table.replace({ serving: { chatty: servingSettings.parse({ parameters }) } });
    gateway.engine.script = async (response) => {
      await sendFrames(response, [usageChunk, done]);
      response.end();
    };
    expect(await (await gateway.post(path, '{"model":"chatty","stream":true}')).text()).toBe(done);
    expect(gateway.engine.only().body).toBe(
      '{"stream_options":{"include_usage":true,"continuous_usage_stats":true},"model":"chatty","stream":true}',
    );
  });

  it("is as it would have been: vLLM's usage:null, which our question adds, is taken out", async () => {
    const frame = '{"id":"c","choices":[{"index":0,"delta":{"content":"a \\"usage\\":null b"}}]';
    gateway.engine.script = async (response) => {
      await sendFrames(response, [`data: ${frame},"usage":null}\n\n`, usageChunk, done]);
      response.end();
    };
    const text = await (await gateway.post(path, { ...chat, stream: true })).text();
    expect(text).toBe(`data: ${frame}}\n\n${done}`);
  });

  it('gives each frame as it comes, the first one at once', async () => {
    const gate = new EventEmitter();
    const [first, second] = [once(gate, 'first was read'), once(gate, 'second was read')];
    gateway.engine.script = async (response) => {
      await sendFrames(response, [delta('one')]);
      await first;
      await sendFrames(response, [delta('two')]);
      await second;
      response.end(done);
    };
    const response = await gateway.post(path, { ...chat, stream: true });
    const reader = response.body?.getReader();
    const read = async () => Buffer.from((await reader?.read())?.value ?? []).toString();
    expect(await read()).toBe(delta('one'));
    gate.emit('first was read');
    expect(await read()).toBe(delta('two'));
    gate.emit('second was read');
    expect(await read()).toBe(done);
  });

  it('that the engine breaks off ends with an error event', async () => {
    gateway.engine.script = async (response) => {
      await sendFrames(response, [delta('one'), delta('two')], 5);
      response.destroy();
    };
    const text = await (await gateway.post(path, { ...chat, stream: true })).text();
    expect(text.startsWith(delta('one') + delta('two'))).toBe(true);
    const event = text.slice((delta('one') + delta('two')).length);
    expect(errorBody.parse(JSON.parse(event.replace(/^data: /, ''))).error.code).toBe('engine_interrupted');
    expect(await gateway.record()).toMatchObject({
      status: 502,
      outcome: 'engine_error',
      completion_tokens: 2,
      estimated: true,
    });
  });

  it('that the engine breaks off inside an event gives the official client an error', async () => {
    gateway.engine.script = async (response) => {
      await sendFrames(response, [delta('one'), 'data: {"cut'], 5);
      response.destroy();
    };
    const read = async () => {
      for await (const _ of await client().chat.completions.create({ ...chat, stream: true }));
    };
    await expect(read()).rejects.toThrow(/broke off/);
  });

  it("in which the engine tells an error is the engine's error", async () => {
    gateway.engine.script = async (response) => {
      await sendFrames(response, [delta('one'), 'data: {"error":{"message":"out of memory"}}\n\n', done]);
      response.end();
    };
    await (await gateway.post(path, { ...chat, stream: true })).text();
    expect(await gateway.record()).toMatchObject({ status: 200, outcome: 'engine_error' });
  });

  it('is read from the engine no faster than its client reads', async () => {
    let sentBytes = 0;
    const frame = delta('x'.repeat(8000));
    gateway.engine.script = async (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const closed = once(response, 'close');
      while (sentBytes < 256 * 1024 * 1024 && !response.destroyed) {
        sentBytes += frame.length;
        if (response.write(frame)) continue;
        const stop = new AbortController();
        await Promise.race([once(response, 'drain', { signal: stop.signal }).catch(() => undefined), closed]);
        stop.abort();
      }
    };
    const stop = new AbortController();
    const response = await fetch(`${gateway.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token('full')}` },
      body: JSON.stringify({ ...chat, stream: true }),
      signal: stop.signal,
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const stalledAt = sentBytes;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(sentBytes).toBe(stalledAt);
    expect(stalledAt).toBeLessThan(32 * 1024 * 1024);
    stop.abort();
    await response.text().catch(() => undefined);
    expect(await gateway.record()).toMatchObject({ outcome: 'client_gone', status: 499, estimated: true });
  });
});

describe('a client that leaves', () => {
  const leave = async (body: object, isAtWork: () => boolean) => {
    const stop = new AbortController();
    const asked = fetch(`${gateway.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token('full')}` },
      body: JSON.stringify(body),
      signal: stop.signal,
    })
      .then((response) => response.text())
      .catch(() => 'left');
    await eventually('the engine is at work', isAtWork);
    const leftAtMs = performance.now();
    stop.abort();
    await asked;
    await eventually('the engine sees it', () => gateway.engine.only().abortedAtMs !== null);
    return (gateway.engine.only().abortedAtMs ?? Number.NaN) - leftAtMs;
  };

  it.each([true, false])('before the first byte stops the engine at once (stream: %s)', async (stream) => {
    gateway.engine.script = () => undefined;
    expect(await leave({ ...chat, stream }, () => gateway.engine.seen.length === 1)).toBeLessThan(100);
    expect(await gateway.record()).toMatchObject({ outcome: 'client_gone', status: 499, first_byte_ms: null });
  });

  it('inside a stream stops the engine at once, and what it got is estimated', async () => {
    let sent = 0;
    gateway.engine.script = async (response) => {
      const first = delta('').replace('"content"', '"role":"assistant","content"');
      await sendFrames(response, [first, delta('a'), delta('b'), delta('c')], 5);
      sent = 3;
    };
    expect(await leave({ ...chat, stream: true }, () => sent === 3)).toBeLessThan(100);
    expect(await gateway.record()).toMatchObject({
      outcome: 'client_gone',
      prompt_tokens: 0,
      completion_tokens: 3,
      estimated: true,
    });
  });

  it('inside a document stops the engine at once', async () => {
    let began = false;
    gateway.engine.script = (response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write('{"id":');
      began = true;
    };
    expect(await leave(chat, () => began)).toBeLessThan(100);
    expect(await gateway.record()).toMatchObject({ outcome: 'client_gone', status: 499, estimated: true });
  });

  it('through the official client stops the engine at once', async () => {
    gateway.engine.script = async (response) => {
      await sendFrames(response, Array<string>(500).fill(delta('a')), 2);
    };
    const stream = await client().chat.completions.create({ ...chat, stream: true });
    let leftAtMs = 0;
    for await (const _ of stream) {
      leftAtMs = performance.now();
      stream.controller.abort();
    }
    await eventually('the engine sees it', () => gateway.engine.only().abortedAtMs !== null);
    expect((gateway.engine.only().abortedAtMs ?? Number.NaN) - leftAtMs).toBeLessThan(100);
    expect(await gateway.record()).toMatchObject({ outcome: 'client_gone' });
  });

  it('with all that it came for has not left: the counts are true', async () => {
    gateway.engine.script = (response) => sendFrames(response, [delta('a'), usageChunk, done]);
    const stop = new AbortController();
    const response = await fetch(`${gateway.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token('full')}` },
      body: JSON.stringify({ ...chat, stream: true }),
      signal: stop.signal,
    });
    const reader = response.body?.getReader();
    let text = '';
    while (!text.endsWith(done)) text += Buffer.from((await reader?.read())?.value ?? []).toString();
    stop.abort();
    expect(await gateway.record()).toMatchObject({
      outcome: 'ok',
      status: 200,
      prompt_tokens: 7,
      completion_tokens: 2,
      estimated: false,
    });
  });

  it('while it sends its body is no error of ours', async () => {
    const { port, hostname } = new URL(gateway.url);
    const socket = connect(Number(port), hostname);
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token('full')}\r\nContent-Length: 500\r\n\r\n{"mod`,
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.destroy();
    expect(await gateway.record()).toMatchObject({ outcome: 'client_gone', status: 499, completion_tokens: 0 });
    expect(gateway.logged).toEqual([]);
    expect(gateway.engine.seen).toEqual([]);
  });

  it('frees its place at the endpoint', async () => {
    gateway.engine.script = () => undefined;
    await leave(chat, () => gateway.engine.seen.length === 1);
    await gateway.record();
    expect(gateway.balancer.outstanding('replica-1')).toBe(0);
    expect(gateway.queues.running('chatty')).toBe(0);
  });
});

describe('a refusal', () => {
  const refusals: [string, number, string, string, unknown, Record<string, string>][] = [
    ['an unknown key', 401, 'invalid_api_key', path, chat, { authorization: 'Bearer ctx_nope' }],
    ['another scheme', 401, 'invalid_api_key', path, chat, { authorization: 'Basic Zm9vOmJhcg==' }],
    ['a hash as a key', 401, 'invalid_api_key', path, chat, { authorization: `Bearer ${'0'.repeat(64)}` }],
    ['SQL as a key', 401, 'invalid_api_key', path, chat, { authorization: "Bearer ' OR '1'='1" }],
    ['an expired key', 401, 'api_key_expired', path, chat, { authorization: `Bearer ${token('expired')}` }],
    [
      'a key without the scope',
      403,
      'insufficient_scope',
      path,
      chat,
      { authorization: `Bearer ${token('embedder')}` },
    ],
    [
      'a key for other models',
      403,
      'model_not_allowed',
      path,
      { ...chat, model: 'other' },
      { authorization: `Bearer ${token('narrow')}` },
    ],
    ['an unknown model', 404, 'model_not_found', path, { ...chat, model: 'nobody' }, {}],
    ['a model that is loading', 503, 'model_not_ready', path, { ...chat, model: 'sleepy' }, {}],
    ['a model of another task', 400, 'wrong_task', path, { ...chat, model: 'vectors' }, {}],
    ['a body without a model', 400, 'invalid_request', path, { messages: [] }, {}],
    ['a body that is not JSON', 400, 'invalid_request', path, '{"model":', {}],
    ['a body that is a list', 400, 'invalid_request', path, '[]', {}],
    ['a deeply nested body', 400, 'invalid_request', path, '['.repeat(100_000), {}],
    ['a body that is too large', 413, 'body_too_large', path, { ...chat, x: 'x'.repeat(300_000) }, {}],
    ['a path that is not there', 404, 'route_not_found', '/v1/nothing', chat, {}],
    ['a name of the prototype', 404, 'route_not_found', '/v1/constructor', chat, {}],
  ];
  it.each(refusals)("of %s is %i %s in OpenAI's shape", async (_what, status, code, at, body, headers) => {
    const response = await gateway.post(at, body, headers);
    expect(response.status).toBe(status);
    const error = await errorOf(response);
    expect(error.code).toBe(code);
    expect(error.request_id).toBe(response.headers.get('x-request-id'));
    expect(response.headers.get('retry-after')).toBe(status === 503 ? '5' : null);
    // Counted once, whether it came as far as a usage record or not.
    expect([...gateway.refused, ...gateway.records.map(({ cause }) => cause)]).toEqual([code]);
    expect(gateway.engine.seen).toEqual([]);
    const expected = status === 401 || code === 'route_not_found' ? [] : [{ status, outcome: 'refused' }];
    expect(gateway.records).toMatchObject(expected);
  });

  it('is one that the official client understands', async () => {
    const asked = client().chat.completions.create({ ...chat, model: 'nobody' });
    await expect(asked).rejects.toMatchObject({ status: 404, code: 'model_not_found', param: 'model' });
    await expect(client('nobody').models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
  });

  it('reaches the client that sends a body that is too large, announced or in chunks', async () => {
    const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token('full')}\r\n`;
    const big = 'x'.repeat(3 * 1024 * 1024);
    expect(await raw(`${head}Content-Length: ${big.length}\r\n\r\n${big}`)).toMatch(/^HTTP\/1.1 413 /);
    const chunk = `${big.length.toString(16)}\r\n${big}\r\n0\r\n\r\n`;
    expect(await raw(`${head}Transfer-Encoding: chunked\r\n\r\n${chunk}`)).toMatch(/^HTTP\/1.1 413 /);
    expect(gateway.records.map((record) => record.status)).toEqual([413, 413]);
  });

  it('does not read on for ever from a client that is told that its body is too large', async () => {
    const { port, hostname } = new URL(gateway.url);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined);
    const closed = new Promise((resolve) => socket.once('close', () => resolve('closed')));
    socket.resume();
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token('full')}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    const piece = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
    const feed = setInterval(() => socket.write(piece), 1);
    expect(await closed).toBe('closed');
    clearInterval(feed);
  });

  it('keeps what an unknown model was called in a form that every database takes', async () => {
    await gateway.post(path, JSON.stringify({ model: `a\u0000b\ud83d${'c'.repeat(200)}` }));
    expect((await gateway.record()).served_name).toMatch(/^[\x20-\x7e]{1,128}$/);
  });

  it('follows for whatever stands in Authorization, and nothing else happens', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        const value = Buffer.from(bytes.filter((byte) => byte !== 0x0d && byte !== 0x0a));
        const head = Buffer.from(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nAuthorization: `);
        const text = await raw(Buffer.concat([head, value, Buffer.from('\r\n\r\n{}')]));
        expect(text).toMatch(/^HTTP\/1.1 (401|400) /);
      }),
      { numRuns: 60 },
    );
    expect(gateway.records).toEqual([]);
    expect(gateway.logged).toEqual([]);
  });
});

describe("the UI's cookie", () => {
  const send = (headers: Record<string, string>) => {
    gateway.engine.script = (response) => sendJson(response, answer);
    return fetch(`${gateway.url}${path}`, { method: 'POST', headers, body: JSON.stringify(chat) });
  };
  const cookie = `a=b; cortex_session=${sessionCookie}; c=d`;

  it('lets somebody with the right to chat in, and stays here', async () => {
    const response = await send({ cookie, origin: gateway.url });
    expect(response.status).toBe(200);
    await response.text();
    expect(gateway.engine.only().headers.cookie).toBeUndefined();
    expect(await gateway.record()).toMatchObject({ key_id: null, user_id: 'user-1', outcome: 'ok' });
  });

  it.each([
    ["another site's page", { cookie, origin: 'https://evil.example' }, 403, 'cross_origin'],
    ['a page without an origin', { cookie, origin: 'null' }, 403, 'cross_origin'],
    ["a browser's word on another site", { cookie, 'sec-fetch-site': 'cross-site' }, 403, 'cross_origin'],
    ["a browser's word on a neighbour", { cookie, 'sec-fetch-site': 'same-site' }, 403, 'cross_origin'],
    ['a user name', { cookie: 'cortex_session=admin' }, 401, 'session_invalid'],
    ['a session that has ended', { cookie: 'cortex_session=ended' }, 401, 'session_invalid'],
    ['somebody without the right', { cookie: 'cortex_session=no-rights' }, 403, 'forbidden'],
    ['no credential', {}, 401, 'api_key_missing'],
    ['a wrong key beside a good cookie', { cookie, authorization: 'Bearer x' }, 401, 'invalid_api_key'],
  ])('refuses %s', async (_what, headers, status, code) => {
    const response = await send({ ...headers } as Record<string, string>);
    expect(response.status).toBe(status);
    expect((await errorOf(response)).code).toBe(code);
    expect(gateway.engine.seen).toEqual([]);
    expect(gateway.records).toEqual([]);
  });
});

describe('an engine', () => {
  it('that is not there is 502, and the cause is logged', async () => {
    gateway.table.replaceModels([
      gateway.model('chatty', { endpoints: [gateway.endpoint('chatty', { url: 'http://127.0.0.1:1' })] }),
    ]);
    const response = await gateway.post(path, chat);
    expect(response.status).toBe(502);
    expect((await errorOf(response)).code).toBe('engine_unreachable');
    expect(await gateway.record()).toMatchObject({ status: 502, outcome: 'engine_error' });
    expect(gateway.logged.join()).toContain('ECONNREFUSED');
  });

  it('that dies before its answer is 502', async () => {
    gateway.engine.script = (response) => void response.destroy();
    expect((await gateway.post(path, chat)).status).toBe(502);
    expect(await gateway.record()).toMatchObject({ status: 502, outcome: 'engine_error' });
  });

  it('that dies between the head and the body of a document is 502', async () => {
    gateway.engine.script = (response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
      setTimeout(() => response.destroy(), 20);
    };
    const response = await gateway.post(path, chat);
    expect(response.status).toBe(502);
    expect((await errorOf(response)).code).toBe('engine_interrupted');
    expect(await gateway.record()).toMatchObject({ status: 502, outcome: 'engine_error' });
  });

  it('that dies inside a document cuts the connection, so that half an answer is not taken for one', async () => {
    gateway.engine.script = (response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write('{"id":"c",');
      setTimeout(() => response.destroy(), 20);
    };
    await expect(gateway.post(path, chat).then((response) => response.text())).rejects.toThrow();
    expect(await gateway.record()).toMatchObject({ status: 502, outcome: 'engine_error', estimated: true });
  });

  it("that refuses in OpenAI's shape is passed on", async () => {
    const refusal = '{ "error": {"message":"no","type":"busy","param":null,"code":"full","more":1e400} }';
    gateway.engine.script = (response) => void response.writeHead(400).end(refusal);
    const response = await gateway.post(path, chat);
    expect([response.status, await response.text()]).toEqual([400, refusal]);
    expect(await gateway.record()).toMatchObject({ status: 400, outcome: 'client_error', estimated: false });
  });

  it("that refuses nearly in OpenAI's shape is passed on with what it lacks, and all that it told", async () => {
    const error = { code: 400, message: 'too many tokens', type: 'exceed_context_size_error', n_ctx: 512 };
    gateway.engine.script = (response) => sendJson(response, { error }, 400);
    const response = await gateway.post(path, chat);
    expect([response.status, await response.json()]).toEqual([400, { error: { ...error, code: '400', param: null } }]);
  });

  it.each([429, 503])(
    'that has no room now (%i) and does not say when to come again is asked in 5 s',
    async (status) => {
      gateway.engine.script = (response) => sendJson(response, { error: { message: 'Loading model' } }, status);
      expect((await gateway.post(path, chat)).headers.get('retry-after')).toBe('5');
      gateway.engine.script = (response) =>
        sendJson(response.setHeader('retry-after', '9'), { error: { message: 'full' } }, status);
      expect((await gateway.post(path, chat)).headers.get('retry-after')).toBe('9');
      gateway.engine.script = (response) => sendJson(response, { error: { message: 'no' } }, 400);
      expect((await gateway.post(path, chat)).headers.get('retry-after')).toBeNull();
    },
  );

  it("that refuses in vLLM's shape is understood by the official client", async () => {
    gateway.engine.script = (response) =>
      sendJson(
        response,
        { object: 'error', message: 'max_tokens is too large', type: 'BadRequestError', code: 400 },
        400,
      );
    await expect(client().chat.completions.create(chat)).rejects.toThrow(/max_tokens is too large/);
    expect(await gateway.record()).toMatchObject({ status: 400, outcome: 'client_error' });
  });

  it.each([401, 403, 307])("that answers %i has failed: it is not the client's key that is wrong", async (status) => {
    gateway.engine.script = (response) => sendJson(response, { error: { message: 'Invalid API Key' } }, status);
    const response = await gateway.post(path, chat);
    expect(response.status).toBe(502);
    expect((await errorOf(response)).code).toBe('engine_failed');
    expect(await gateway.record()).toMatchObject({ status: 502, outcome: 'engine_error' });
  });

  it('that fails without words is told so', async () => {
    gateway.engine.script = (response) => void response.writeHead(500).end('Internal Server Error');
    const response = await gateway.post(path, { ...chat, stream: true });
    expect(response.status).toBe(502);
    expect(await errorOf(response)).toMatchObject({ code: 'engine_failed', message: expect.stringContaining('500') });
    expect(await gateway.record()).toMatchObject({ outcome: 'engine_error' });
  });

  it('gets the next request where the least are under way', async () => {
    const second = new GatewayUnderTest();
    await second.start();
    const held: (() => void)[] = [];
    for (const { engine } of [gateway, second]) {
      engine.script = (response) => void held.push(() => sendJson(response, answer));
    }
    const endpoints = [gateway, second].map(({ engine }) =>
      gateway.endpoint('chatty', { id: engine.url, url: engine.url }),
    );
    gateway.table.replaceModels([gateway.model('chatty', { endpoints })]);
    const asked = [
      gateway.post(path, chat),
      gateway.post(path, chat),
      gateway.post(path, chat),
      gateway.post(path, chat),
    ];
    await eventually('all are under way', () => held.length === 4);
    expect([gateway.engine.seen.length, second.engine.seen.length]).toEqual([2, 2]);
    for (const release of held) release();
    for (const response of await Promise.all(asked)) await response.text();
    await second.close();
  });
});

describe('the list of models', () => {
  it('shows what is ready, in the shape that the official client reads', async () => {
    const page = await client().models.list();
    expect(page.object).toBe('list');
    expect(page.data).toEqual(
      ['chatty', 'other', 'vectors'].map((id) => ({ id, object: 'model', created: 1_700_000_000, owned_by: 'cortex' })),
    );
    expect(gateway.records).toEqual([]);
  });

  it('shows a key only what it may use', async () => {
    expect((await client('narrow').models.list()).data.map((model) => model.id)).toEqual(['chatty']);
    await expect(client('narrow').models.retrieve('other')).rejects.toBeInstanceOf(OpenAI.NotFoundError);
    await expect(client('embedder').models.list()).rejects.toBeInstanceOf(OpenAI.PermissionDeniedError);
  });

  it('gives one model, also one whose name has a slash', async () => {
    gateway.table.replaceModels([gateway.model('org/name:Q4')]);
    expect((await client().models.retrieve('org/name:Q4')).id).toBe('org/name:Q4');
    const headers = { authorization: `Bearer ${token('full')}` };
    const plain = await fetch(`${gateway.url}/v1/models/org/name:Q4`, { headers });
    expect(await plain.json()).toMatchObject({ id: 'org/name:Q4' });
  });
});

describe('a method', () => {
  const ask = (method: string, at: string) =>
    fetch(`${gateway.url}${at}`, { method, headers: { authorization: `Bearer ${token('full')}` } });

  it.each([
    ['GET', path, 'POST, OPTIONS'],
    ['DELETE', '/v1/models', 'GET, HEAD, OPTIONS'],
    ['POST', '/v1/models/chatty', 'GET, HEAD, OPTIONS'],
  ])('%s is not for %s', async (method, at, allow) => {
    const response = await ask(method, at);
    expect([response.status, response.headers.get('allow')]).toEqual([405, allow]);
    expect((await errorOf(response)).code).toBe('method_not_allowed');
  });

  it('HEAD answers as GET does, without a body', async () => {
    const response = await ask('HEAD', '/v1/models');
    expect([response.status, await response.text()]).toEqual([200, '']);
  });

  it('OPTIONS tells the methods, and lets no other origin in', async () => {
    const response = await fetch(`${gateway.url}${path}`, {
      method: 'OPTIONS',
      headers: { origin: 'https://evil.example' },
    });
    expect([response.status, response.headers.get('allow')]).toEqual([204, 'POST, OPTIONS']);
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
  });
});
