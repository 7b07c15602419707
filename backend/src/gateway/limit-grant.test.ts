import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CortexError, errorBody } from '../../../contract/errors.ts';
import { limit, type SubjectLimit, servingSettings } from '../../../contract/routing.ts';
import { GatewayUnderTest, sendJson, token } from '../../../tests/fixtures/scripted-engine.ts';

let gateway: GatewayUnderTest;
const chat = { model: 'chatty', messages: [{ role: 'user', content: 'Hi' }] };
const path = '/v1/chat/completions';

beforeEach(async () => {
  gateway = new GatewayUnderTest();
  await gateway.start();
  gateway.engine.script = (response) => sendJson(response, { usage: { prompt_tokens: 60, completion_tokens: 40 } });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await gateway.close();
});

const limited = (subject: SubjectLimit['subject'], id: string, values: Partial<SubjectLimit>) =>
  gateway.table.replace({ limits: [{ subject, id, ...limit.parse({}), ...values }] });
/** `other` answers for `chatty`, whose engine is not there. */
const otherAnswers = () => {
  gateway.table.replace({ serving: { chatty: servingSettings.parse({ fallbacks: ['other'] }) } });
  gateway.table.replaceModels([
    gateway.model('chatty', { endpoints: [gateway.endpoint('chatty', { url: 'http://127.0.0.1:9' })] }),
    gateway.model('other'),
  ]);
};
const ask = async (name = 'full') => {
  const answer = await gateway.post(path, chat, { authorization: `Bearer ${token(name)}` });
  return { status: answer.status, headers: answer.headers, body: await answer.json() };
};

describe('a limit', () => {
  it.each([
    ['key', 'key-full'],
    ['user', 'user-1'],
    ['organization', 'org-1'],
    ['model', 'chatty'],
  ] as const)('of the %s is told with each answer, then refuses and says when to come again', async (subject, id) => {
    limited(subject, id, { requests_per_minute: 1 });
    const first = await ask();
    expect(first.status).toBe(200);
    expect(first.headers.get('x-ratelimit-limit-requests')).toBe('1');
    expect(first.headers.get('x-ratelimit-remaining-requests')).toBe('0');
    expect(first.headers.get('x-ratelimit-reset-requests')).toBe('60s');
    const second = await ask();
    expect(second.status).toBe(429);
    expect(second.headers.get('x-ratelimit-limit-requests')).toBe('1');
    expect(second.headers.get('x-ratelimit-remaining-requests')).toBe('0');
    expect(second.headers.get('x-ratelimit-reset-requests')).toMatch(/^(?:60|5\d(?:\.\d{1,3})?)s$/);
    const seconds = Number(second.headers.get('retry-after'));
    expect(seconds).toBeGreaterThan(50);
    expect(seconds).toBeLessThanOrEqual(60);
    expect(errorBody.parse(second.body).error.code).toBe('rate_limited');
    expect(gateway.engine.seen).toHaveLength(1);
    expect(gateway.records.map(({ outcome, cause }) => [outcome, cause])).toEqual([
      ['ok', null],
      ['refused', 'rate_limited'],
    ]);
  });

  it('of another key, user, organisation or model is none', async () => {
    limited('key', 'key-narrow', { requests_per_minute: 1 });
    expect((await ask()).headers.get('x-ratelimit-limit-requests')).toBeNull();
    expect((await ask()).status).toBe(200);
  });

  it("of a model holds also where it answers in another's place", async () => {
    limited('model', 'other', { requests_per_minute: 1 });
    otherAnswers();
    expect((await ask()).status).toBe(200);
    expect(await ask()).toMatchObject({ status: 429, body: { error: { code: 'rate_limited' } } });
    expect(gateway.engine.seen).toHaveLength(1);
  });

  it('of a model in whose place another answers is as it was: requests, tokens and places', async () => {
    limited('model', 'chatty', { requests_per_minute: 1, tokens_per_day: 1, concurrent_requests: 1 });
    otherAnswers();
    let release = () => {};
    const under = new Promise<void>((resolve) => {
      gateway.engine.script = (response) => {
        release = () => sendJson(response, { usage: { prompt_tokens: 60, completion_tokens: 40 } });
        resolve();
      };
    });
    const first = ask();
    await under;
    gateway.engine.script = (response) => sendJson(response, {});
    expect((await ask()).status).toBe(200);
    release();
    expect((await first).status).toBe(200);
    gateway.table.replaceModels([gateway.model('chatty')]);
    expect((await ask()).status).toBe(200);
    expect((await ask()).status).toBe(429);
  });

  it('of a key counts a request once, whichever model answers it', async () => {
    limited('key', 'key-full', { requests_per_minute: 2, tokens_per_day: 150 });
    otherAnswers();
    const first = await ask();
    expect([first.status, first.headers.get('x-ratelimit-remaining-requests')]).toEqual([200, '1']);
    expect((await ask()).status).toBe(200);
    expect((await ask()).status).toBe(429);
  });

  it('of a model in whose place another answers is not told', async () => {
    limited('model', 'chatty', { requests_per_minute: 7, tokens_per_minute: 7000 });
    otherAnswers();
    const answer = await ask();
    expect(answer.status).toBe(200);
    expect([...answer.headers.keys()].filter((name) => name.startsWith('x-ratelimit-'))).toEqual([]);
  });

  it('that is the tightest is told, though the model that answers in the end has another', async () => {
    const limits = [
      { subject: 'key' as const, id: 'key-full', ...limit.parse({ requests_per_minute: 5 }) },
      { subject: 'model' as const, id: 'other', ...limit.parse({ requests_per_minute: 100 }) },
    ];
    gateway.table.replace({ limits });
    otherAnswers();
    expect((await ask()).headers.get('x-ratelimit-limit-requests')).toBe('5');
  });

  it('of tokens sets nothing aside for a picture or a sound, of which a model reads far less than its bytes', async () => {
    limited('key', 'key-full', { tokens_per_minute: 1000 });
    gateway.engine.script = (response) => sendJson(response, {});
    const url = `data:image/png;base64,${'iVBO'.repeat(10_000)}`;
    const content = [
      { type: 'image_url', image_url: { url } },
      { type: 'text', text: 'word '.repeat(160) },
    ];
    const answer = await gateway.post(path, { model: 'chatty', messages: [{ role: 'user', content }] });
    const remaining = Number(answer.headers.get('x-ratelimit-remaining-tokens'));
    expect(remaining).toBeGreaterThan(700);
    expect(remaining).toBeLessThan(800);
    const body = new FormData();
    body.append('model', 'chatty');
    body.append('file', new File(['RIFF'.repeat(10_000)], 'a.wav'));
    const headers = { authorization: `Bearer ${token('full')}` };
    const heard = await fetch(`${gateway.url}/v1/audio/transcriptions`, { method: 'POST', headers, body });
    expect([heard.status, heard.headers.get('x-ratelimit-remaining-tokens')]).toEqual([200, '1000']);
  });

  it('of tokens counts what the engine told', async () => {
    limited('key', 'key-full', { tokens_per_day: 100 });
    expect((await ask()).status).toBe(200);
    expect((await ask()).status).toBe(429);
  });

  it('of requests at the same time is free again however a request ended', async () => {
    limited('key', 'key-full', { concurrent_requests: 1 });
    expect((await ask()).status).toBe(200);
    gateway.engine.script = (response) => sendJson(response, { error: { message: 'no' } }, 400);
    expect((await ask()).status).toBe(400);
    gateway.engine.script = (response) => void response.destroy();
    expect((await ask()).status).toBe(502);
    expect((await gateway.post(path, { ...chat, model: 'sleepy' })).status).toBe(503);
    gateway.engine.script = (response) => sendJson(response, {});
    expect((await ask()).status).toBe(200);
  });

  it('that cannot be checked lets nobody through', async () => {
    limited('key', 'key-full', { requests_per_minute: 100 });
    vi.spyOn(gateway.limits, 'take').mockImplementation(() => {
      throw new CortexError('limits_unavailable', {});
    });
    const { status, body } = await ask();
    expect(status).toBe(503);
    expect(errorBody.parse(body).error.code).toBe('limits_unavailable');
    expect(gateway.engine.seen).toEqual([]);
  });
});
