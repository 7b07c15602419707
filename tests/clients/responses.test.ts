import OpenAI from 'openai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually, sendFrames, sendJson, token } from '../fixtures/scripted-engine.ts';
import { playRecordings } from './recorded-engine.ts';
import { responseFrames, responsesRecordings } from './responses-recordings.ts';
import { ServedGateway } from './served-gateway.ts';

let gateway: ServedGateway;
const ask = { model: 'chatty', input: 'Hi' };
const { text } = responsesRecordings.vllm;
const frames = responseFrames(text);
const client = (key = 'full') =>
  new OpenAI({ apiKey: token(key), baseURL: `${gateway.url}/v1`, maxRetries: 0, timeout: 5000 });

beforeEach(async () => {
  gateway = new ServedGateway();
  await gateway.start();
  playRecordings(gateway.engine);
});
afterEach(() => gateway.close());

describe("OpenAI's client on the responses API", () => {
  it('gets a response, and its counts are recorded', async () => {
    const response = await client().responses.create(ask);
    expect(response.output_text).toBe('Grüße 🙂');
    expect(gateway.records).toMatchObject([
      { endpoint: '/v1/responses', prompt_tokens: 7, completion_tokens: 5, estimated: false },
    ]);
  });

  it('sees the events of a stream in the order that the API documents', async () => {
    const types = [];
    for await (const { type } of await client().responses.create({ ...ask, stream: true })) types.push(type);
    expect(types).toEqual(text.events.map(({ type }) => type));
    await eventually('a usage record', () => gateway.records.length > 0);
    expect(gateway.records).toMatchObject([
      { streamed: true, outcome: 'ok', prompt_tokens: 7, completion_tokens: 5, estimated: false },
    ]);
  });

  it('puts a response together with its stream helper', async () => {
    expect((await client().responses.stream(ask).finalResponse()).output_text).toBe('Grüße 🙂');
  });

  it.each([
    ['vLLM', responsesRecordings.vllm.toolCall],
    ['llama-server', responsesRecordings.llama.toolCall],
  ])('gets the call of a tool from %s, as a document and as a stream', async (_engine, recording) => {
    gateway.engine.script = async (response, { body }) => {
      if (!body.includes('"stream":true')) return sendJson(response, recording.answer);
      await sendFrames(response, responseFrames(recording));
      response.end();
    };
    const wanted = { type: 'function_call', name: 'weather', arguments: '{"city":"Köln"}' };
    expect((await client().responses.create(ask)).output).toMatchObject([wanted]);
    const done = [];
    for await (const event of await client().responses.create({ ...ask, stream: true }))
      if (event.type === 'response.output_item.done') done.push(event.item);
    expect(done).toMatchObject([wanted]);
  });

  it("gets the engine's bytes, and the engine the client's: stream_options belong to another API", async () => {
    const body = JSON.stringify({ ...ask, stream: true });
    const answer = await gateway.post('/v1/responses', body);
    expect(await answer.text()).toBe(frames.join(''));
    expect(gateway.engine.only().body).toBe(body);
  });

  it('stops the engine within 100 ms by aborting', async () => {
    const [created = '', begun = '', item = '', part = '', word = ''] = frames;
    const long = [created, begun, item, part, ...Array<string>(2000).fill(word)];
    gateway.engine.script = (response) => sendFrames(response, long, 2);
    const stream = await client().responses.create({ ...ask, stream: true });
    let leftAtMs = Number.NaN;
    for await (const { type } of stream) {
      if (type !== 'response.output_text.delta') continue;
      leftAtMs = performance.now();
      stream.controller.abort();
    }
    await eventually('the engine sees it', () => gateway.engine.only().abortedAtMs !== null);
    expect((gateway.engine.only().abortedAtMs ?? Number.NaN) - leftAtMs).toBeLessThan(100);
  });

  it('throws when the engine dies inside the stream', async () => {
    gateway.engine.script = async (response) => {
      await sendFrames(response, frames.slice(0, 5), 5);
      response.destroy();
    };
    const read = async () => {
      for await (const _ of await client().responses.create({ ...ask, stream: true }));
    };
    await expect(read()).rejects.toThrow(/broke off/);
  });

  it.each([
    ['AuthenticationError', 'nobody', ask],
    ['NotFoundError', 'full', { ...ask, model: 'nobody' }],
    ['PermissionDeniedError', 'narrow', { ...ask, model: 'other' }],
    ['BadRequestError', 'full', { ...ask, model: 'vectors' }],
  ] as const)('throws %s (key %s)', async (name, key, body) => {
    const error: unknown = await client(key)
      .responses.create(body)
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OpenAI[name]);
    expect(error).not.toHaveProperty('code', 'route_not_found');
  });
});
