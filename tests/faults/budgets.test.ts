import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import type { ScriptedEngine } from '../fixtures/scripted-engine.ts';
import { startCountingEngine } from './counting-engine.ts';

let cortex: EmbeddedCortex;
let engine: ScriptedEngine;

beforeEach(async () => {
  engine = await startCountingEngine();
  cortex = new EmbeddedCortex();
  await cortex.start();
  await cortex.signIn();
  await cortex.call('createEndpoint', { body: { name: 'mock', served_name: 'steady', url: engine.url } });
});
afterEach(async () => {
  await cortex.stop();
  await engine.close();
});

const statusOf = async (token: string) => {
  const answer = await fetch(`${cortex.api}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify({ model: 'steady', messages: [] }),
  });
  await answer.text();
  return answer.status;
};

it("a day's budget that is used up stays so over kill -9 and a restart", async () => {
  const { key, token } = await cortex.call('createKey', { body: { name: 'thrifty' } });
  await cortex.call('setLimit', { body: { subject: 'key', id: key.id, tokens_per_day: 10 } });
  await vi.waitFor(async () => expect(await statusOf(token)).toBe(429), { timeout: 20_000, interval: 10 });
  await cortex.end('SIGKILL');
  await cortex.start();
  expect(await statusOf(token)).toBe(429);
});

it('a budget that is set at noon counts what was used in the morning', async () => {
  const { key, token } = await cortex.call('createKey', { body: { name: 'late' } });
  expect(await statusOf(token)).toBe(200);
  await vi.waitFor(
    async () => expect((await cortex.call('listUsage', { query: { key_id: key.id } })).records).toHaveLength(1),
    { timeout: 5000, interval: 100 },
  );
  await cortex.call('setLimit', { body: { subject: 'key', id: key.id, tokens_per_month: 1 } });
  expect(await statusOf(token)).toBe(429);
});
