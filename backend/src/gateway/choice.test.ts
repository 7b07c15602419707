import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { errorBody } from '../../../contract/errors.ts';
import { servingSettings } from '../../../contract/routing.ts';
import {
  eventually,
  GatewayUnderTest,
  ScriptedEngine,
  sendFrames,
  sendJson,
} from '../../../tests/fixtures/scripted-engine.ts';

const path = '/v1/chat/completions';
const chat = { model: 'chatty', messages: [{ role: 'user', content: 'Hi' }] };
const answer = { usage: { prompt_tokens: 1, completion_tokens: 1 } };
const nobody = 'http://127.0.0.1:9';

let gateway: GatewayUnderTest;
let second: ScriptedEngine;
beforeEach(async () => {
  gateway = new GatewayUnderTest();
  second = new ScriptedEngine();
  await Promise.all([gateway.start(), second.start()]);
  gateway.engine.script = (response) => sendJson(response, answer);
  second.script = (response) => sendJson(response, answer);
});
afterEach(() => Promise.all([gateway.close(), second.close()]));

const statusOf = async (asked: Promise<Response>) => {
  const response = await asked;
  await response.text();
  return response.status;
};
/** Serves `chatty` from these addresses, in this order of preference while none is busy. */
const serveFrom = (...urls: string[]) => {
  const endpoints = urls.map((url, at) => gateway.endpoint('chatty', { id: `replica-${at}`, url }));
  gateway.table.replaceModels([gateway.model('chatty', { endpoints }), gateway.model('other')]);
};
const seen = () => [gateway.engine.seen.length, second.seen.length];

it('all turns of a conversation go to the replica that has them in its cache', async () => {
  serveFrom(gateway.engine.url, second.url);
  for (let conversation = 0; conversation < 8; conversation += 1) {
    const before = seen();
    const messages = [{ role: 'user', content: `Hi ${conversation}` }];
    for (let turn = 0; turn < 4; turn += 1) {
      expect(await statusOf(gateway.post(path, { ...chat, messages, seed: turn }))).toBe(200);
      messages.push({ role: 'assistant', content: 'Hello' }, { role: 'user', content: `And ${turn}?` });
    }
    expect(
      seen()
        .map((count, at) => count - (before[at] ?? 0))
        .sort(),
    ).toEqual([0, 4]);
  }
});

describe('another replica is asked', () => {
  it('where the first cannot be connected to', async () => {
    serveFrom(nobody, second.url);
    for (let number = 0; number < 20; number += 1)
      expect(await statusOf(gateway.post(path, { ...chat, user: `u${number}` }))).toBe(200);
    expect(gateway.records.every(({ replica, outcome }) => replica === 'replica-1' && outcome === 'ok')).toBe(true);
  });

  it('where the first says that it is not ready, and the last one to say so is heard', async () => {
    serveFrom(gateway.engine.url, second.url);
    for (const engine of [gateway.engine, second])
      engine.script = (response) => sendJson(response, { error: { message: 'Loading model' } }, 503);
    expect(await statusOf(gateway.post(path, chat))).toBe(503);
    expect(seen()).toEqual([1, 1]);
    second.script = (response) => sendJson(response, answer);
    expect(await statusOf(gateway.post(path, chat))).toBe(200);
  });

  it('or else the 503 of the only one that is worth asking is the answer', async () => {
    gateway.engine.script = (response) => sendJson(response, { error: { message: 'Loading model' } }, 503);
    serveFrom(gateway.engine.url, nobody);
    const away = gateway.endpoint('chatty', { id: 'replica-1', url: nobody });
    for (let failure = 0; failure < 3; failure += 1)
      gateway.balancer.acquire([away], null, [], Date.now())?.release('bad');
    const response = await gateway.post(path, chat);
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5']);
    expect(errorBody.parse(await response.json()).error.code).toBe('model_not_ready');
  });

  it('never where the first may have begun', async () => {
    serveFrom(gateway.engine.url, second.url);
    for (const engine of [gateway.engine, second]) engine.script = (response) => void response.destroy();
    expect(await statusOf(gateway.post(path, chat))).toBe(502);
    expect(gateway.engine.seen.length + second.seen.length).toBe(1);
  });
});

describe('a fallback answers', () => {
  beforeEach(() => {
    gateway.table.replaceModels([
      gateway.model('chatty', { endpoints: [gateway.endpoint('chatty', { url: gateway.engine.url })] }),
      gateway.model('other', { endpoints: [gateway.endpoint('other', { id: 'fallback', url: second.url })] }),
    ]);
    const serving = servingSettings.parse({ fallbacks: ['other'], max_concurrent: 1, queue_limit: 0 });
    gateway.table.replace({ serving: { chatty: serving } });
  });

  it('where no replica could begin, under its own name at the engine', async () => {
    gateway.table.replaceModels([
      gateway.model('chatty', { endpoints: [gateway.endpoint('chatty', { url: nobody })] }),
      gateway.model('other', { endpoints: [gateway.endpoint('other', { id: 'fallback', url: second.url })] }),
    ]);
    expect(await statusOf(gateway.post(path, chat))).toBe(200);
    expect(JSON.parse(second.only().body)).toMatchObject({ model: 'other' });
    expect(await gateway.record()).toMatchObject({
      requested_name: 'chatty',
      served_name: 'other',
      model_id: 'id-other',
      replica: 'fallback',
    });
  });

  it('where the queue is full', async () => {
    let release = () => {};
    gateway.engine.script = (response) => {
      release = () => sendJson(response, answer);
    };
    const first = gateway.post(path, chat);
    await eventually('the first is under way', () => gateway.engine.seen.length === 1);
    expect(await statusOf(gateway.post(path, chat))).toBe(200);
    expect(second.seen).toHaveLength(1);
    release();
    expect(await statusOf(first)).toBe(200);
  });
});

describe('a replica that has failed', () => {
  it('is open to all again as soon as its trial is answered, though that is a long stream', async () => {
    gateway.engine.script = (response) => void response.destroy();
    for (let number = 0; number < 3; number += 1) expect(await statusOf(gateway.post(path, chat))).toBe(502);
    expect(await statusOf(gateway.post(path, chat))).toBe(502);
    expect(gateway.engine.seen).toHaveLength(3);
    await new Promise((resolve) => setTimeout(resolve, 2050));
    let end = () => {};
    gateway.engine.script = async (response, { body }) => {
      if (!body.includes('"stream":true')) sendJson(response, answer);
      else {
        await sendFrames(response, ['data: {"choices":[]}\n\n']);
        end = () => void response.end('data: [DONE]\n\n');
      }
    };
    const stream = await gateway.post(path, { ...chat, stream: true });
    expect(await statusOf(gateway.post(path, chat))).toBe(200);
    end();
    await stream.text();
  });

  it('by what a client sent is there for the others', async () => {
    gateway.engine.script = (response, { body }) =>
      sendJson(
        response,
        body.includes('poison') ? { error: { message: 'oops' } } : answer,
        body.includes('poison') ? 500 : 200,
      );
    for (let number = 0; number < 5; number += 1)
      expect(await statusOf(gateway.post(path, { ...chat, user: 'poison' }))).toBe(500);
    expect(await statusOf(gateway.post(path, chat))).toBe(200);
  });

  it.each([404, 405, 501])('is none for lacking a path that somebody asks for (%i)', async (status) => {
    gateway.engine.script = (response, { path: asked }) =>
      asked === path ? sendJson(response, answer) : sendJson(response, { detail: 'Not Found' }, status);
    for (let number = 0; number < 4; number += 1)
      expect(await statusOf(gateway.post('/v1/rerank', { model: 'chatty' }))).toBe(400);
    expect(await statusOf(gateway.post(path, chat))).toBe(200);
  });

  it('gives the client why, in the shape of every error', async () => {
    serveFrom(nobody);
    const response = await gateway.post(path, chat);
    expect(errorBody.parse(await response.json()).error.code).toBe('engine_unreachable');
  });
});

describe('the time that an answer may take in all', () => {
  beforeEach(() =>
    gateway.table.replace({ serving: { chatty: servingSettings.parse({ total_timeout_seconds: 0.2 }) } }),
  );

  it('ends a stream that goes on and on with an error event', async () => {
    gateway.engine.script = (response) => sendFrames(response, Array(1000).fill('data: {"choices":[]}\n\n'), 20);
    const beganAt = performance.now();
    const response = await gateway.post(path, { ...chat, stream: true });
    expect(await response.text()).toMatch(/data: \{"error":.*"engine_timeout".*\}\n\n$/);
    expect(performance.now() - beganAt).toBeLessThan(5000);
    await eventually('the engine is let go', () => gateway.engine.only().abortedAtMs !== null);
    expect(await gateway.record()).toMatchObject({ outcome: 'engine_error', cause: 'engine_timeout', status: 504 });
  });

  it('ends a question that is not answered with 504', async () => {
    gateway.engine.script = () => undefined;
    expect(await statusOf(gateway.post(path, chat))).toBe(504);
    await eventually('the engine is let go', () => gateway.engine.only().abortedAtMs !== null);
  });
});
