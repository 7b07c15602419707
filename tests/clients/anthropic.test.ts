import { createAnthropic } from '@ai-sdk/anthropic';
import Anthropic from '@anthropic-ai/sdk';
import { generateText, streamText } from 'ai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { engineKey, eventually, sendFrames, sendJson, token } from '../fixtures/scripted-engine.ts';
import { anthropicMessage, anthropicStream } from './anthropic-recordings.ts';
import { playRecordings } from './recorded-engine.ts';
import { ServedGateway } from './served-gateway.ts';

let gateway: ServedGateway;
const ask = { model: 'chatty', max_tokens: 64, messages: [{ role: 'user' as const, content: 'Hi' }] };
const weather = {
  name: 'weather',
  input_schema: { type: 'object' as const, properties: { city: { type: 'string' } } },
};
const client = (key = 'full', maxRetries = 0) =>
  new Anthropic({ apiKey: token(key), authToken: null, baseURL: gateway.url, maxRetries, timeout: 5000 });
const anthropicError = z.object({
  type: z.literal('error'),
  error: z.object({ type: z.string(), message: z.string().min(1) }),
  request_id: z.string(),
});

beforeEach(async () => {
  gateway = new ServedGateway();
  await gateway.start();
  playRecordings(gateway.engine);
});
afterEach(() => gateway.close());

describe("Anthropic's client", () => {
  it('is known by its x-api-key, which the engine never sees', async () => {
    const message = await client().messages.create(ask);
    expect(message.content).toEqual([{ type: 'text', text: 'Grüße 🙂' }]);
    const { headers } = gateway.engine.only();
    expect(headers.authorization).toBe(`Bearer ${engineKey}`);
    expect(JSON.stringify(headers)).not.toContain(token('full'));
    expect(gateway.records).toMatchObject([{ key_id: 'key-full', prompt_tokens: 7, completion_tokens: 5 }]);
  });

  it('is known by a bearer token as well', async () => {
    const bearer = new Anthropic({ apiKey: null, authToken: token('full'), baseURL: gateway.url, maxRetries: 0 });
    expect((await bearer.messages.create(ask)).stop_reason).toBe('end_turn');
  });

  it('sees the events of a stream in the order that the API documents', async () => {
    const types = [];
    for await (const { type } of await client().messages.create({ ...ask, stream: true })) types.push(type);
    expect(types).toEqual([
      'message_start',
      'content_block_start',
      'content_block_delta',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ]);
  });

  it('puts a message together with its stream helper', async () => {
    const pieces: string[] = [];
    const stream = client()
      .messages.stream(ask)
      .on('text', (piece) => pieces.push(piece));
    expect(await stream.finalText()).toBe('Grüße 🙂');
    expect(pieces).toEqual(['Grüße ', '🙂']);
    await eventually('a usage record', () => gateway.records.length > 0);
    expect(gateway.records).toMatchObject([{ streamed: true, outcome: 'ok', prompt_tokens: 7, completion_tokens: 5 }]);
  });

  it.each([true, false])('gets the use of a tool (stream: %s)', async (isStream) => {
    const body = { ...ask, tools: [weather] };
    const { messages } = client();
    const message = isStream ? await messages.stream(body).finalMessage() : await messages.create(body);
    expect(message.stop_reason).toBe('tool_use');
    expect(message.content[0]).toMatchObject({ type: 'tool_use', name: 'weather', input: { city: 'Köln' } });
  });

  it('counts tokens, and that is not charged as made tokens', async () => {
    const { messages } = client();
    expect(await messages.countTokens({ model: 'chatty', messages: ask.messages })).toMatchObject({ input_tokens: 7 });
    expect(gateway.records).toMatchObject([{ completion_tokens: 0, outcome: 'ok' }]);
  });

  it('stops the engine within 100 ms by aborting its stream', async () => {
    const [start = '', block = '', , word = ''] = anthropicStream.text;
    gateway.engine.script = (response) => sendFrames(response, [start, block, ...Array<string>(2000).fill(word)], 2);
    const stream = client().messages.stream(ask);
    let leftAtMs = Number.NaN;
    stream.once('text', () => {
      leftAtMs = performance.now();
      stream.abort();
    });
    await expect(stream.done()).rejects.toBeInstanceOf(Anthropic.APIUserAbortError);
    await eventually('the engine sees it', () => gateway.engine.only().abortedAtMs !== null);
    expect((gateway.engine.only().abortedAtMs ?? Number.NaN) - leftAtMs).toBeLessThan(100);
  });

  it('tries again after 429, no sooner than Retry-After says', async () => {
    const atMs: number[] = [];
    gateway.engine.script = (response) => {
      atMs.push(performance.now());
      if (atMs.length > 1) return sendJson(response, anthropicMessage.text);
      response.setHeader('retry-after', '1');
      sendJson(response, { type: 'error', error: { type: 'rate_limit_error', message: 'later' } }, 429);
    };
    expect((await client('full', 1).messages.create(ask)).type).toBe('message');
    expect((atMs[1] ?? 0) - (atMs[0] ?? 0)).toBeGreaterThan(950);
  });

  it.each([
    ['AuthenticationError', 'nobody', ask, 401, 'authentication_error'],
    ['PermissionDeniedError', 'narrow', { ...ask, model: 'other' }, 403, 'permission_error'],
    ['NotFoundError', 'full', { ...ask, model: 'nobody' }, 404, 'not_found_error'],
    ['BadRequestError', 'full', { ...ask, model: 'vectors' }, 400, 'invalid_request_error'],
    ['BadRequestError', 'full', { ...ask, max_tokens: -1 }, 400, 'invalid_request_error'],
  ] as const)("throws %s (key %s), in Anthropic's shape", async (name, key, body, status, type) => {
    const error: unknown = await client(key)
      .messages.create(body)
      .catch((thrown: unknown) => thrown);
    if (!(error instanceof Anthropic.APIError)) throw new Error('no APIError');
    expect(error).toBeInstanceOf(Anthropic[name]);
    expect(error.status).toBe(status);
    expect(anthropicError.parse(error.error).error.type).toBe(type);
  });

  it('throws when the engine dies inside the stream, instead of taking half a message for a whole one', async () => {
    gateway.engine.script = async (response) => {
      await sendFrames(response, anthropicStream.text.slice(0, 4), 5);
      response.destroy();
    };
    const error: unknown = await client()
      .messages.stream(ask)
      .finalMessage()
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Anthropic.APIError);
    expect(error).toHaveProperty('message', expect.stringMatching(/broke off/));
  });

  it('gets the bytes of the stream as the engine sent them', async () => {
    const headers = { 'x-api-key': token('full'), 'anthropic-version': '2023-06-01' };
    const answer = await gateway.post('/v1/messages', { ...ask, stream: true }, headers);
    expect(await answer.text()).toBe(anthropicStream.text.join(''));
    expect(JSON.parse(gateway.engine.only().body)).toEqual({ ...ask, stream: true });
  });
});

describe("the AI SDK's Anthropic provider", () => {
  const cortex = () => createAnthropic({ apiKey: token('full'), baseURL: `${gateway.url}/v1` });

  it('generates text', async () => {
    const { text, usage } = await generateText({ model: cortex()('chatty'), prompt: 'Hi' });
    expect([text, usage.inputTokens]).toEqual(['Grüße 🙂', 7]);
  });

  it('streams text', async () => {
    expect(await streamText({ model: cortex()('chatty'), prompt: 'Hi' }).text).toBe('Grüße 🙂');
  });
});

describe('a credential in x-api-key', () => {
  const send = (headers: Record<string, string>) =>
    fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ model: 'chatty', messages: ask.messages }),
    });

  it('is as good as a bearer token on the other paths', async () => {
    expect((await send({ 'x-api-key': token('full') })).status).toBe(200);
  });

  it('that is wrong is not let in, also beside nothing else', async () => {
    expect((await send({ 'x-api-key': 'nope' })).status).toBe(401);
    expect((await send({ 'x-api-key': '' })).status).toBe(401);
    expect(gateway.engine.seen).toEqual([]);
  });
});
