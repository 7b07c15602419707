import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { GatewayUnderTest, sendFrames, sendJson, token } from '../../../tests/fixtures/scripted-engine.ts';
import { Inspector } from './inspector.ts';

let gateway: GatewayUnderTest;
let inspector: Inspector;
beforeEach(async () => {
  gateway = new GatewayUnderTest();
  await gateway.start();
  gateway.engine.script = (response) =>
    sendJson(response, { choices: [], usage: { prompt_tokens: 1, completion_tokens: 2 } });
  inspector = new Inspector({ table: gateway.table, logger: { warn: () => undefined } });
});
afterEach(async () => {
  inspector.stop();
  await gateway.close();
});

const everything = { minutes: 5, served_name: null, key_id: null };
const ask = async (content: string, more: { key?: string; headers?: Record<string, string>; body?: object } = {}) => {
  const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token(more.key ?? 'full')}`,
      'content-type': 'application/json',
      ...more.headers,
    },
    body: JSON.stringify({ model: 'chatty', messages: [{ role: 'user', content }], ...more.body }),
  });
  return { status: answer.status, text: await answer.text() };
};
const inspected = async (count = 1) => {
  await vi.waitFor(() => expect(gateway.inspected).toHaveLength(count));
  return gateway.inspected;
};

describe('the inspector', () => {
  it('keeps nothing unless it was started', async () => {
    await ask('hello');
    await vi.waitFor(() => expect(gateway.records).toHaveLength(1));
    expect(gateway.inspected).toEqual([]);
  });

  it('keeps what was asked and what was answered', async () => {
    inspector.start(everything, 'admin');
    const { text } = await ask('hello');
    const [seen] = await inspected();
    expect(seen?.record).toMatchObject({ served_name: 'chatty', status: 200, completion_tokens: 2 });
    expect(JSON.parse(seen?.request.body ?? '')).toMatchObject({ messages: [{ content: 'hello' }] });
    expect(seen?.response).toMatchObject({ body: text, bytes: text.length });
    expect(seen?.response.headers['content-type']).toContain('application/json');
  });

  it('keeps a stream as its client gets it', async () => {
    gateway.engine.script = async (response) => {
      await sendFrames(response, ['data: {"choices":[{"delta":{"content":"é"}}]}\n\n', 'data: [DONE]\n\n']);
      response.end();
    };
    inspector.start(everything, 'admin');
    const { text } = await ask('hello', { body: { stream: true } });
    const [seen] = await inspected();
    expect(seen?.response.body).toBe(text);
    expect(text).toContain('é');
  });

  it('keeps what was refused, with the error', async () => {
    inspector.start(everything, 'admin');
    await ask('hello', { body: { model: 'nobody' } });
    const [seen] = await inspected();
    expect(seen?.record).toMatchObject({ status: 404, cause: 'model_not_found' });
    expect(seen?.response.body).toContain('model_not_found');
  });

  it('never keeps a key, wherever it stands', async () => {
    inspector.start(everything, 'admin');
    const others = ['ctx_0123456789abcdef', 'sk-proj-0123456789', 'hf_0123456789abc'];
    await ask(`use ${others.join(' ')} and Bearer abcdefghijkl`, {
      headers: {
        'x-api-key-of-ours': 'plain-secret',
        cookie: 'cortex_session=cookie-secret',
        'x-stainless-note': others[0] ?? '',
      },
    });
    const text = JSON.stringify(await inspected());
    for (const secret of [token('full'), ...others, 'abcdefghijkl', 'plain-secret', 'cookie-secret'])
      expect(text).not.toContain(secret);
    expect(text).toContain('use (key) (key) (key) and (key)');
  });

  it('keeps the first part of what is large, and says how large it was', async () => {
    inspector.start(everything, 'admin');
    const long = 'x'.repeat(200_000);
    gateway.engine.script = (response) => sendJson(response, { long });
    await ask(long);
    const [seen] = await inspected();
    expect(seen?.request.bytes).toBeGreaterThan(200_000);
    expect(seen?.request.body).toHaveLength(65_536);
    expect(seen?.response.bytes).toBeGreaterThan(200_000);
    expect(seen?.response.body).toHaveLength(65_536);
  });

  it('keeps the requests of one key alone where it was started for that', async () => {
    inspector.start({ ...everything, key_id: 'key-narrow' }, 'admin');
    await ask('other');
    await ask('meant', { key: 'narrow' });
    const [seen] = await inspected();
    expect(seen?.request.body).toContain('meant');
  });

  it('keeps a hundred requests, of the model that was named', async () => {
    inspector.start(everything, 'admin');
    await ask('hello');
    const [seen] = await inspected();
    if (seen === undefined) throw new Error('nothing was kept');
    inspector.start({ ...everything, served_name: 'chatty' }, 'admin');
    for (let number = 0; number < 150; number += 1) {
      const record = {
        ...seen.record,
        request_id: `req_${number}`,
        served_name: number % 2 === 0 ? 'chatty' : 'other',
      };
      inspector.keep({ ...seen, record });
    }
    expect(inspector.state().requests).toHaveLength(75);
    for (let number = 200; number < 400; number += 1)
      inspector.keep({ ...seen, record: { ...seen.record, request_id: `req_${number}` } });
    expect(inspector.state().requests).toHaveLength(100);
    expect(inspector.state().requests[0]?.request_id).toBe('req_399');
    expect(inspector.request('req_300').record.request_id).toBe('req_300');
  });

  it('ends by itself, and forgets what it kept an hour later', async () => {
    inspector.start(everything, 'admin');
    await ask('hello');
    const [seen] = await inspected();
    if (seen === undefined) throw new Error('nothing was kept');
    vi.useFakeTimers();
    try {
      inspector.start(everything, 'admin');
      inspector.keep(seen);
      vi.advanceTimersByTime(6 * 60_000);
      expect(gateway.table.inspection?.untilMs).toBeLessThan(Date.now());
      expect(inspector.state().requests).toHaveLength(1);
      vi.advanceTimersByTime(60 * 60_000);
      expect(inspector.state()).toEqual({ inspection: null, requests: [] });
    } finally {
      vi.useRealTimers();
    }
  });

  it('forgets at once when it is stopped', async () => {
    inspector.start(everything, 'admin');
    await ask('hello');
    for (const seen of await inspected()) inspector.keep(seen);
    inspector.stop();
    expect(inspector.state()).toEqual({ inspection: null, requests: [] });
    expect(() => inspector.request('any')).toThrow(expect.objectContaining({ code: 'not_found' }));
  });
});
