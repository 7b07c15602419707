import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';

describe.each([1, 2])('a model on demand, with %i gateway processes', (workers) => {
  const cortex = new EmbeddedCortex();
  let id = '';
  let token = '';
  beforeAll(async () => {
    await cortex.start({ GATEWAY_WORKERS: String(workers), CORTEX_ENGINE_NETWORK: `cortex-test-on-demand-${workers}` });
    await mkdir(join(cortex.models, 'tiny'));
    await writeTinyModel(join(cortex.models, 'tiny/tiny.gguf'));
    await cortex.signIn();
    const body = {
      ...{ engine: 'llamacpp' as const, name: 'Tiny', served_name: 'tiny', task: 'generate' as const },
      ...{ folder: 'tiny', file: 'tiny.gguf' },
    };
    ({ id } = (await cortex.call('createModel', { body })).model);
    ({ token } = await cortex.call('createKey', { body: { name: 'test' } }));
    await cortex.call('setOnDemand', { params: { id }, body: { on_demand: { idle_seconds: 3 } } });
  });
  afterAll(async () => {
    try {
      await cortex.call('stopModel', { params: { id } });
      await vi.waitUntil(async () => (await state()) === 'stopped', { timeout: 40_000, interval: 300 });
    } finally {
      await cortex.stop();
    }
  });
  const state = async () => (await cortex.call('getModel', { params: { id } })).model.state;
  const ask = (signal?: AbortSignal) =>
    fetch(`${cortex.api}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ model: 'tiny', messages: [{ role: 'user', content: 'Hello' }], max_tokens: 4 }),
      ...(signal === undefined ? {} : { signal }),
    });

  it('is loaded by its first request, which is answered, and unloaded when nobody uses it', async () => {
    await expect.poll(state, { timeout: 10_000 }).toBe('stopped');
    const answer = await ask();
    expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining('"choices"')]);
    expect(Number(answer.headers.get('x-cortex-queue-ms'))).toBeGreaterThan(0);
    expect(await state()).toBe('ready');
    await expect.poll(state, { timeout: 40_000, interval: 300 }).toBe('stopped');
  });

  it('is loaded no further when its only client leaves', async () => {
    const client = new AbortController();
    const left = ask(client.signal).catch(() => 'left');
    await expect.poll(state, { timeout: 20_000, interval: 50 }).not.toBe('stopped');
    client.abort();
    expect(await left).toBe('left');
    await expect.poll(state, { timeout: 40_000, interval: 300 }).toBe('stopped');
    expect((await cortex.call('getModel', { params: { id } })).model.wanted).toBe('stopped');
  });
});
