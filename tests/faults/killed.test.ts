import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ScriptedEngine } from '../fixtures/scripted-engine.ts';
import { childrenOf } from './children.ts';
import { startCountingEngine } from './counting-engine.ts';
import { Load } from './load.ts';
import { ServedCortex } from './served-cortex.ts';

const isLong = process.env.LONG === '1';
const kills = isLong ? 50 : 5;
const killsOfAll = isLong ? 50 : 3;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

let cortex: ServedCortex;
let engine: ScriptedEngine;

async function begin(env: Record<string, string>): Promise<void> {
  engine = await startCountingEngine();
  cortex = new ServedCortex();
  await cortex.serve(engine.url, env);
}

afterEach(async () => {
  await cortex.stop();
  await engine.close();
});

describe('the ledger', () => {
  it(`holds what clients saw after ${kills} kills of the whole server under load`, async () => {
    await begin({});
    let asked = 0;
    for (let kill = 0; kill < kills; kill += 1) {
      const load = new Load(cortex.api, cortex.token, 'steady', 4);
      await pause(100 + Math.random() * 900);
      await cortex.end('SIGKILL');
      await load.stop();
      await cortex.start();
      expect(load.complete.length).toBeGreaterThan(0);
      await cortex.expectLedgerToHold(load);
      asked += load.asked;
    }
    expect((await cortex.ledger()).size).toBeLessThanOrEqual(asked);
  });

  it(`holds what clients saw after ${kills} kills of a worker, and the others go on`, async () => {
    await begin({ GATEWAY_WORKERS: '2' });
    const load = new Load(cortex.api, cortex.token, 'steady', 4);
    for (let kill = 0; kill < kills; kill += 1) {
      await vi.waitFor(() => expect(childrenOf(cortex.pid)).toHaveLength(2), { timeout: 20_000 });
      await pause(200 + Math.random() * 400);
      const before = load.complete.length;
      const [victim = 0] = childrenOf(cortex.pid);
      process.kill(victim, 'SIGKILL');
      await vi.waitFor(() => expect(load.complete.length).toBeGreaterThan(before + 5), { timeout: 10_000 });
    }
    await load.stop();
    await cortex.expectLedgerToHold(load);
    expect((await cortex.ledger()).size).toBeLessThanOrEqual(load.asked);
  });

  it(`holds what clients saw after ${killsOfAll} kills of the server and all its workers at once`, async () => {
    const env = { GATEWAY_WORKERS: '2' };
    await begin(env);
    for (let kill = 0; kill < killsOfAll; kill += 1) {
      const load = new Load(cortex.api, cortex.token, 'steady', 4);
      await vi.waitFor(() => expect(load.complete.length).toBeGreaterThan(5), { timeout: 10_000 });
      const all = [cortex.pid, ...childrenOf(cortex.pid)];
      // The first process hears nothing more of the workers, as if it were busy just then.
      process.kill(cortex.pid, 'SIGSTOP');
      await pause(100 + Math.random() * 200);
      for (const pid of all) process.kill(pid, 'SIGKILL');
      await load.stop();
      await cortex.end('SIGKILL');
      await cortex.start(env);
      await cortex.expectLedgerToHold(load);
    }
  });
});

describe('workers', () => {
  it('share port, snapshot and limits, and pass on what is not theirs', async () => {
    await begin({ GATEWAY_WORKERS: '2' });
    const ask = async (key = cortex.token) => {
      const answer = await fetch(`${cortex.api}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, connection: 'close' },
        body: JSON.stringify({ model: 'steady', messages: [] }),
      });
      await answer.text();
      return answer.status;
    };
    const { key, token: limited } = await cortex.call('createKey', { body: { name: 'limited' } });
    await cortex.call('setLimit', { body: { subject: 'key', id: key.id, requests_per_minute: 5 } });
    const statuses: number[] = [];
    for (let number = 0; number < 12; number += 1) statuses.push(await ask(limited));
    expect(statuses.filter((status) => status === 200)).toHaveLength(5);
    expect(statuses.filter((status) => status === 429)).toHaveLength(7);
    expect(await ask()).toBe(200);
    await cortex.call('revokeKey', { params: { id: key.id } });
    await vi.waitFor(async () => expect(await ask(limited)).toBe(401), { timeout: 1000, interval: 50 });
    expect((await fetch(`${cortex.api}/health`)).ok).toBe(true);
  });
});
