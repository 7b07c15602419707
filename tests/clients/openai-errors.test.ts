import OpenAI from 'openai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sendJson, token } from '../fixtures/scripted-engine.ts';
import { playRecordings } from './recorded-engine.ts';
import { chatAnswers, multiByteText } from './recordings.ts';
import { ServedGateway } from './served-gateway.ts';

let gateway: ServedGateway;
const chat = { model: 'chatty', messages: [{ role: 'user' as const, content: 'Hi' }] };
const client = (key = 'full', maxRetries = 0) =>
  new OpenAI({ apiKey: token(key), baseURL: `${gateway.url}/v1`, maxRetries, timeout: 10_000 });
/** The error that a call ends with. */
const errorOf = async (call: Promise<unknown>) => {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof OpenAI.APIError)) throw new Error('the call did not end with an APIError');
  return error;
};
const requestId = /^req_[0-9a-f]{32}$/;

beforeEach(async () => {
  gateway = new ServedGateway();
  await gateway.start();
  playRecordings(gateway.engine);
});
afterEach(() => gateway.close());

describe("OpenAI's client throws", () => {
  it.each([
    ['AuthenticationError', 'an unknown key', 'nobody', chat, 401, 'invalid_api_key', null],
    ['AuthenticationError', 'an expired key', 'expired', chat, 401, 'api_key_expired', null],
    ['PermissionDeniedError', 'a key without the scope', 'lister', chat, 403, 'insufficient_scope', null],
    [
      'PermissionDeniedError',
      'a key for other models',
      'narrow',
      { ...chat, model: 'other' },
      403,
      'model_not_allowed',
      'model',
    ],
    ['NotFoundError', 'an unknown model', 'full', { ...chat, model: 'nobody' }, 404, 'model_not_found', 'model'],
    ['BadRequestError', 'a model of another task', 'full', { ...chat, model: 'vectors' }, 400, 'wrong_task', 'model'],
    ['BadRequestError', 'an empty model', 'full', { ...chat, model: '' }, 400, 'invalid_request', 'model'],
    [
      'InternalServerError',
      'a model that is loading',
      'full',
      { ...chat, model: 'sleepy' },
      503,
      'model_not_ready',
      'model',
    ],
  ] as const)('%s for %s', async (name, _what, key, body, status, code, param) => {
    const error = await errorOf(client(key).chat.completions.create(body));
    expect(error).toBeInstanceOf(OpenAI[name]);
    expect(error).toMatchObject({ status, code, param });
    expect(error.requestID).toMatch(requestId);
    expect(gateway.engine.seen).toEqual([]);
  });

  it('the same before a stream begins', async () => {
    const error = await errorOf(client().chat.completions.create({ ...chat, model: 'nobody', stream: true }));
    expect(error).toBeInstanceOf(OpenAI.NotFoundError);
  });

  it("RateLimitError with the request's id where the engine is full", async () => {
    const full = { error: { message: 'too many requests', type: 'rate_limit_error', param: null, code: 'busy' } };
    gateway.engine.script = (response) => sendJson(response, full, 429);
    const error = await errorOf(client().chat.completions.create(chat));
    expect(error).toBeInstanceOf(OpenAI.RateLimitError);
    expect(error).toMatchObject({ code: 'busy', type: 'rate_limit_error' });
    expect(error.requestID).toBe(gateway.records[0]?.request_id);
  });

  it("BadRequestError with the engine's own words", async () => {
    const error = await errorOf(client().chat.completions.create({ ...chat, temperature: 9 }));
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect(error.message).toContain('temperature');
  });

  it('BadRequestError for what only an engine knows to be wrong: stream_options without stream', async () => {
    const error = await errorOf(
      client().chat.completions.create({ ...chat, stream: false, stream_options: { include_usage: true } }),
    );
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
  });

  it('NotFoundError for a path that is not there', async () => {
    expect(await errorOf(client().batches.list())).toMatchObject({ status: 404, code: 'route_not_found' });
  });
});

describe("OpenAI's client tries again", () => {
  it.each([429, 503])('after %i, no sooner than Retry-After says', async (status) => {
    const atMs: number[] = [];
    gateway.engine.script = (response) => {
      atMs.push(performance.now());
      if (atMs.length > 1) return sendJson(response, chatAnswers.text);
      response.setHeader('retry-after', '2');
      sendJson(response, { error: { message: 'later', type: 'rate_limit_error', param: null, code: null } }, status);
    };
    const answer = await client('full', 1).chat.completions.create(chat);
    expect(answer.choices[0]?.message.content).toBe(multiByteText);
    const waitedMs = (atMs[1] ?? 0) - (atMs[0] ?? 0);
    expect(waitedMs).toBeGreaterThan(1950);
    expect(waitedMs).toBeLessThan(4000);
  });

  it('until a model that is loading is ready, as long as the gateway said', async () => {
    const beganAtMs = performance.now();
    const asked = client('full', 1).chat.completions.create({ ...chat, model: 'sleepy' });
    const chatty = gateway.table.model('chatty');
    if (chatty === undefined) throw new Error('no model chatty');
    setTimeout(() => gateway.table.replaceModels([{ ...chatty, servedName: 'sleepy' }]), 1000);
    expect((await asked).choices[0]?.message.content).toBe(multiByteText);
    expect(performance.now() - beganAtMs).toBeGreaterThan(4900);
  });

  it('not at all where the fault is its own', async () => {
    await errorOf(client('full', 3).chat.completions.create({ ...chat, temperature: 9 }));
    expect(gateway.engine.seen).toHaveLength(1);
  });
});
