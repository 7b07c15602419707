import { type ChildProcess, spawn } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ScriptedEngine } from '../fixtures/scripted-engine.ts';
import { type EngineProcess, startEngineProcess } from './engine-process.ts';
import { FarMachine } from './far-machine.ts';
import { ServedCortex } from './served-cortex.ts';

/** Ten seconds without a sign, then ten probes of a second, and some time for slow machines. */
const noticedWithinMs = 28_000;

describe('machines that vanish without a word', () => {
  let cortex: ServedCortex;
  let machine: FarMachine;
  let far: EngineProcess;
  let near: ScriptedEngine;
  let client: ChildProcess | undefined;
  beforeEach(async () => {
    machine = new FarMachine(1);
    far = await startEngineProcess(machine.address, machine.within);
    near = new ScriptedEngine();
    near.script = (response, { path }) => {
      if (path !== '/v1/chat/completions') response.end('{}');
    };
    await near.start();
    cortex = new ServedCortex();
    await cortex.serve(far.url, { GATEWAY_HOST: '0.0.0.0' });
    // No time limit of ours helps.
    const endless = { first_byte_timeout_seconds: 0, idle_timeout_seconds: 0, total_timeout_seconds: 0 };
    await cortex.treat(endless);
    await cortex.call('createEndpoint', { body: { name: 'near', served_name: 'near', url: near.url } });
  });
  afterEach(async () => {
    client?.kill('SIGKILL');
    await cortex.stop();
    await near.close();
    await far.kill();
    machine.remove();
  });

  it(
    'are missed: an engine in a stream and before its first byte, and a client whose engine is at work',
    async () => {
      const stream = await cortex.ask('go', { stream: true });
      const streamed = stream.text();
      const waiting = cortex.ask('wait').catch((error: unknown) => error);
      const request = `fetch('http://${machine.here}:${new URL(cortex.api).port}/v1/chat/completions', {
        method: 'POST', headers: { authorization: 'Bearer ${cortex.token}' },
        body: JSON.stringify({ model: 'near', messages: [] }) }).catch(() => undefined)`;
      const [program = '', ...within] = machine.within;
      client = spawn(program, [...within, process.execPath, '-e', request], { stdio: 'ignore' });
      const asked = () => near.seen.filter(({ path }) => path === '/v1/chat/completions');
      await vi.waitFor(() => expect(asked()).toHaveLength(1), { timeout: 5000 });
      machine.vanish();
      const vanishedAtMs = performance.now();

      expect(await streamed).toMatch(/"engine_interrupted"/);
      const answer = await waiting;
      expect(answer).toBeInstanceOf(Response);
      if (answer instanceof Response)
        expect(await answer.json()).toMatchObject({ error: { code: 'engine_unreachable' } });
      await vi.waitFor(() => expect(asked()[0]?.abortedAtMs).not.toBeNull(), { timeout: noticedWithinMs });
      expect(performance.now() - vanishedAtMs).toBeLessThan(noticedWithinMs);

      const outcomes = (await cortex.rows(3)).map(({ outcome, cause }) => `${outcome} ${cause}`).sort();
      expect(outcomes).toEqual([
        'client_gone client_gone',
        'engine_error engine_interrupted',
        'engine_error engine_unreachable',
      ]);
      // A new connection is not waited for as long as the system would.
      const beganAtMs = performance.now();
      expect((await cortex.ask('again')).status).toBe(502);
      expect(performance.now() - beganAtMs).toBeLessThan(7000);
    },
    noticedWithinMs * 2,
  );
});
