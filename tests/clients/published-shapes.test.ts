import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sendFrames, sendJson, token } from '../fixtures/scripted-engine.ts';
import { expectPublishedShape } from './openai-schemas.ts';
import { playRecordings } from './recorded-engine.ts';
import { type ChatKind, chatStreams } from './recordings.ts';
import { ServedGateway } from './served-gateway.ts';

let gateway: ServedGateway;
const path = '/v1/chat/completions';
const chat = { model: 'chatty', messages: [{ role: 'user', content: 'Hi' }] };
const kinds = Object.keys(chatStreams) as ChatKind[];
const dataOf = (text: string) =>
  text
    .split('\n\n')
    .map((event) => event.replace(/^data: /, ''))
    .filter((data) => data !== '' && data !== '[DONE]');
const get = (at: string) => fetch(gateway.url + at, { headers: { authorization: `Bearer ${token('full')}` } });

beforeEach(async () => {
  gateway = new ServedGateway();
  await gateway.start();
  playRecordings(gateway.engine);
});
afterEach(() => gateway.close());

describe("an answer is of the shape that OpenAI's API document describes:", () => {
  it.each(kinds)('chat (%s), as a document and as the chunks of a stream', async (kind) => {
    playRecordings(gateway.engine, kind);
    expectPublishedShape('CreateChatCompletionResponse', await (await gateway.post(path, chat)).json());
    for (const include_usage of [true, false]) {
      const body = { ...chat, stream: true, stream_options: { include_usage } };
      const chunks = dataOf(await (await gateway.post(path, body)).text());
      expect(chunks.length).toBeGreaterThan(2);
      for (const chunk of chunks) expectPublishedShape('CreateChatCompletionStreamResponse', JSON.parse(chunk));
    }
  });

  it('completions, embeddings, the list of models and one model', async () => {
    const completion = await gateway.post('/v1/completions', { model: 'chatty', prompt: 'Once' });
    expectPublishedShape('CreateCompletionResponse', await completion.json());
    const embeddings = await gateway.post('/v1/embeddings', { model: 'vectors', input: 'a' });
    expectPublishedShape('CreateEmbeddingResponse', await embeddings.json());
    expectPublishedShape('ListModelsResponse', await (await get('/v1/models')).json());
    expectPublishedShape('Model', await (await get('/v1/models/chatty')).json());
  });
});

describe('an error of the gateway is of the published shape:', () => {
  const bearer = (name: string) => ({ authorization: `Bearer ${token(name)}` });
  it.each<[number, string, string, unknown, Record<string, string>]>([
    [401, 'invalid_api_key', path, chat, bearer('nobody')],
    [401, 'api_key_expired', path, chat, bearer('expired')],
    [403, 'insufficient_scope', path, chat, bearer('lister')],
    [403, 'model_not_allowed', path, { ...chat, model: 'other' }, bearer('narrow')],
    [404, 'model_not_found', path, { ...chat, model: 'nobody' }, {}],
    [404, 'route_not_found', '/v1/nothing', chat, {}],
    [405, 'method_not_allowed', '/v1/models', chat, {}],
    [400, 'wrong_task', path, { ...chat, model: 'vectors' }, {}],
    [400, 'invalid_request', path, '{', {}],
    [400, 'invalid_request', path, '', {}],
    [413, 'body_too_large', path, 'x'.repeat(300_000), {}],
    [503, 'model_not_ready', path, { ...chat, model: 'sleepy' }, {}],
  ])('%i %s', async (status, code, at, body, headers) => {
    const answer = await gateway.post(at, body, headers);
    const error: unknown = await answer.json();
    expect([answer.status, error]).toMatchObject([status, { error: { code } }]);
    expectPublishedShape('ErrorResponse', error);
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
  });

  it('401 without any credential', async () => {
    const answer = await fetch(gateway.url + path, { method: 'POST', body: JSON.stringify(chat) });
    expect(answer.status).toBe(401);
    expectPublishedShape('ErrorResponse', await answer.json());
  });

  it('502 where the engine is not there, fails or breaks off', async () => {
    gateway.engine.script = (response) => void response.writeHead(500).end('oops');
    const failed = await gateway.post(path, chat);
    gateway.engine.script = (response) => void response.destroy();
    const broken = await gateway.post(path, chat);
    gateway.serveFrom('http://127.0.0.1:1', '');
    for (const answer of [failed, broken, await gateway.post(path, chat)]) {
      expect(answer.status).toBe(502);
      expectPublishedShape('ErrorResponse', await answer.json());
    }
  });

  it('inside a stream that the engine breaks off', async () => {
    gateway.engine.script = async (response) => {
      await sendFrames(response, chatStreams.text.slice(0, 3), 5);
      response.destroy();
    };
    const events = dataOf(await (await gateway.post(path, { ...chat, stream: true })).text());
    expectPublishedShape('ErrorResponse', JSON.parse(events.at(-1) ?? ''));
  });

  it.each([
    ["vLLM's before 0.10", { object: 'error', message: 'too long', type: 'BadRequestError', param: null, code: 400 }],
    ["FastAPI's", { detail: [{ loc: ['body'], msg: 'field required' }] }],
    ['plain words', 'no'],
  ])("where the engine's refusal has another (%s)", async (_whose, refusal) => {
    gateway.engine.script = (response) => sendJson(response, refusal, 400);
    const answer = await gateway.post(path, chat);
    expect(answer.status).toBe(400);
    expectPublishedShape('ErrorResponse', await answer.json());
  });
});
