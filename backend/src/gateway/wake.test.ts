import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CortexError } from '../../../contract/errors.ts';
import { eventually, GatewayUnderTest, sendJson, token } from '../../../tests/fixtures/scripted-engine.ts';

describe('a model that its first request loads', () => {
  const gateway = new GatewayUnderTest();
  beforeEach(async () => {
    await gateway.start();
    gateway.records.length = 0;
    gateway.engine.seen.length = 0;
    gateway.table.replace({ onDemand: ['id-sleepy'] });
    gateway.table.replaceModels([
      { ...gateway.model('sleepy', { state: 'stopped', endpoints: [] }), modelId: 'id-sleepy' },
    ]);
  });
  afterEach(() => gateway.close());
  const answer = { choices: [], usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } };
  const ask = () =>
    fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token('full')}` },
      body: JSON.stringify({ model: 'sleepy', messages: [{ role: 'user', content: 'Hello' }] }),
    });

  it('answers it when it is loaded, and says how long that took', async () => {
    gateway.engine.script = (response) => sendJson(response, answer);
    gateway.wake = async () => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      gateway.table.replaceModels([{ ...gateway.model('sleepy'), modelId: 'id-sleepy' }]);
    };
    const { status, headers } = await ask();
    expect(status).toBe(200);
    expect(Number(headers.get('x-cortex-queue-ms'))).toBeGreaterThanOrEqual(45);
    expect((await gateway.record()).queue_ms).toBeGreaterThanOrEqual(45);
  });

  it('refuses it with the time to come back where loading takes too long', async () => {
    gateway.wake = async () => {
      throw new CortexError('queue_timeout', { model: 'sleepy', seconds: 1 }, { retryAfterSeconds: 10 });
    };
    const answer = await ask();
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('10');
    await answer.text();
  });

  it.each([true, false])('is waited for no more when its client leaves (stream: %s)', async (stream) => {
    let isWaiting = false;
    gateway.wake = (_name, gone) =>
      new Promise((_resolve, reject) => {
        isWaiting = true;
        gone.addEventListener('abort', () => {
          isWaiting = false;
          reject(new Error('the client has gone'));
        });
      });
    const leaving = new AbortController();
    const asked = fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token('full')}` },
      body: JSON.stringify({ model: 'sleepy', messages: [], stream }),
      signal: leaving.signal,
    });
    await eventually('it waits', () => isWaiting);
    leaving.abort();
    await expect(asked).rejects.toThrow();
    expect(await gateway.record()).toMatchObject({ outcome: 'client_gone', status: 499, streamed: stream });
    expect(isWaiting).toBe(false);
    expect(gateway.engine.seen).toEqual([]);
  });

  it('is in the list of models', async () => {
    const answer = await fetch(`${gateway.url}/v1/models`, { headers: { authorization: `Bearer ${token('full')}` } });
    expect(await answer.text()).toContain('"sleepy"');
  });
});
