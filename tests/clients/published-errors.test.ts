import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { limit, servingSettings } from '../../contract/routing.ts';
import { sendFrames, sendJson, token } from '../fixtures/scripted-engine.ts';
import { expectPublishedShape } from './openai-schemas.ts';
import { chatStreams } from './recordings.ts';
import { ServedGateway } from './served-gateway.ts';

let gateway: ServedGateway;
const path = '/v1/chat/completions';
const chat = { model: 'chatty', messages: [{ role: 'user', content: 'Hi' }] };
const bearer = (name: string) => ({ authorization: `Bearer ${token(name)}` });

beforeEach(async () => {
  gateway = new ServedGateway();
  await gateway.start();
});
afterEach(() => gateway.close());

/** It is an error of this code, if one is named, in the published shape. */
async function expectError(answer: Response, status: number, code?: string): Promise<void> {
  const error: unknown = await answer.json();
  expect(answer.status, JSON.stringify(error)).toBe(status);
  if (code !== undefined) expect(error).toMatchObject({ error: { code } });
  expectPublishedShape('ErrorResponse', error);
  expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
}

describe('an error of the gateway is of the published shape:', () => {
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
    await expectError(await gateway.post(at, body, headers), status, code);
  });

  it('401 without any credential', async () => {
    const answer = await fetch(gateway.url + path, { method: 'POST', body: JSON.stringify(chat) });
    await expectError(answer, 401, 'api_key_missing');
  });

  it('inside a stream that the engine breaks off', async () => {
    gateway.engine.script = async (response) => {
      await sendFrames(response, chatStreams.text.slice(0, 3), 5);
      response.destroy();
    };
    const stream = await (await gateway.post(path, { ...chat, stream: true })).text();
    expectPublishedShape(
      'ErrorResponse',
      JSON.parse(stream.trimEnd().split('\n\n').at(-1)?.replace('data: ', '') ?? ''),
    );
  });
});

describe.each<[string, (model: string, headers?: Record<string, string>) => Promise<Response>]>([
  [path, (model, headers) => gateway.post(path, { ...chat, model }, headers)],
  ['/v1/responses', (model, headers) => gateway.post('/v1/responses', { model, input: 'Hi' }, headers)],
  [
    '/v1/responses (stream)',
    (model, headers) => gateway.post('/v1/responses', { model, input: 'Hi', stream: true }, headers),
  ],
  [
    '/v1/audio/speech',
    (model, headers) => gateway.post('/v1/audio/speech', { model, voice: 'a', input: 'Hi' }, headers),
  ],
  ['/v1/audio/transcriptions', (model, headers) => gateway.postForm({ model, file: 'RIFF' }, headers)],
])('an error on %s is of the published shape:', (_path, ask) => {
  it.each<[number, string, string, string]>([
    [401, 'invalid_api_key', 'chatty', 'nobody'],
    [403, 'insufficient_scope', 'chatty', 'lister'],
    [403, 'model_not_allowed', 'other', 'narrow'],
    [404, 'model_not_found', 'nobody', 'full'],
    [503, 'model_not_ready', 'sleepy', 'full'],
  ])('%i %s', async (status, code, model, key) => {
    await expectError(await ask(model, bearer(key)), status, code);
  });

  it('429 where a limit is used up, and where too many wait', async () => {
    gateway.engine.script = (response) => sendJson(response, {});
    gateway.table.replace({ limits: [{ ...limit.parse({ requests_per_minute: 1 }), subject: 'key', id: 'key-full' }] });
    await ask('chatty');
    const refused = await ask('chatty');
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    await expectError(refused, 429, 'rate_limited');
    let release = () => {};
    const begun = new Promise<void>((resolve) => {
      gateway.engine.script = (response) => {
        release = () => sendJson(response, {});
        resolve();
      };
    });
    gateway.table.replace({
      limits: [],
      serving: { chatty: servingSettings.parse({ max_concurrent: 1, queue_limit: 0 }) },
    });
    const first = ask('chatty');
    await begun;
    await expectError(await ask('chatty'), 429, 'queue_full');
    release();
    await first;
  });

  it('502 where the engine is not there, fails or breaks off', async () => {
    gateway.engine.script = (response) => void response.writeHead(500).end('oops');
    await expectError(await ask('chatty'), 502, 'engine_failed');
    gateway.engine.script = (response) => void response.destroy();
    await expectError(await ask('chatty'), 502, 'engine_unreachable');
    gateway.serveFrom('http://127.0.0.1:1', '');
    await expectError(await ask('chatty'), 502, 'engine_unreachable');
  });

  it.each([
    ["vLLM's before 0.10", { object: 'error', message: 'too long', type: 'BadRequestError', param: null, code: 400 }],
    ["vLLM's", { error: { message: 'too long', type: 'BadRequestError', param: 'input', code: 400 } }],
    ["llama-server's", { error: { code: 400, message: 'too long', type: 'exceed_context_size_error', n_ctx: 512 } }],
    ["FastAPI's", { detail: [{ loc: ['body'], msg: 'field required' }] }],
    ['plain words', 'no'],
  ])("where the engine's refusal has another (%s)", async (_whose, refusal) => {
    gateway.engine.script = (response) => sendJson(response, refusal, 400);
    await expectError(await ask('chatty'), 400);
  });
});
