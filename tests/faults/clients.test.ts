import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventually, ScriptedEngine, sendFrames, sendJson } from '../fixtures/scripted-engine.ts';
import { childrenOf } from './children.ts';
import { RawClient } from './raw-client.ts';
import { ServedCortex } from './served-cortex.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const event = (content: string) => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`;
const answer = {
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'quick' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
};
const flood = event('x'.repeat(16 * 1024));

let cortex: ServedCortex;
let engine: ScriptedEngine;
let floodedBytes = 0;
let clients: RawClient[] = [];

/** Sends as much as the other side takes. */
const sendFlood = async (response: Parameters<ScriptedEngine['script']>[0]) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  while (!response.destroyed) {
    floodedBytes += flood.length;
    if (response.write(flood)) continue;
    const over = new AbortController();
    const wake = ['drain', 'close'].map((name) => once(response, name, { signal: over.signal }));
    await Promise.race(wake).finally(() => over.abort());
    await Promise.allSettled(wake);
  }
};

// In workers places and limits are given by another process: the harder way.
const workers = process.env.LONG === '1' ? ['1', '2'] : ['2'];

describe.each(workers)('with GATEWAY_WORKERS=%s', (count) => {
  beforeAll(async () => {
    cortex = new ServedCortex();
    engine = new ScriptedEngine();
    engine.script = async (response, { body }) => {
      if (body.includes('flood')) await sendFlood(response);
      else if (body.includes('"wait"')) return;
      else if (body.includes('tick')) await sendFrames(response, Array<string>(500).fill(event('tick ')), 10);
      else if (body.includes('"stream":true')) {
        await sendFrames(response, [event('quick'), 'data: [DONE]\n\n']);
        response.end();
      } else sendJson(response, answer);
    };
    await engine.start();
    await cortex.serve(engine.url, { GATEWAY_WORKERS: count });
  });
  afterAll(async () => {
    await cortex.stop();
    await engine.close();
  });

  const client = (reads = true) => {
    const made = new RawClient(cortex, reads);
    clients.push(made);
    return made;
  };
  beforeEach(async () => {
    await cortex.newKey();
    engine.seen.length = 0;
    floodedBytes = 0;
  });
  afterEach(() => {
    for (const made of clients) made.leave();
    clients = [];
  });

  /** Of all its processes. */
  const residentBytes = () =>
    [cortex.pid, ...childrenOf(cortex.pid)]
      .map((pid) => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024)
      .reduce((sum, bytes) => sum + bytes, 0);

  describe('clients that read slowly', () => {
    it('hold back the engine and not the memory of the server, and others do not notice', async () => {
      await cortex.treat({});
      await cortex.ask('quick');
      const before = residentBytes();
      const slow = Array.from({ length: 8 }, () => client(false));
      for (const each of slow) each.ask(cortex, 'flood');
      // As a socket read by hand: a thousand bytes a second.
      const reading = setInterval(() => {
        for (const { socket } of slow) socket.read(1000);
      }, 1000);
      try {
        for (const { socket } of slow) socket.pause();
        await pause(3000);
        const sent = floodedBytes;
        let slowestMs = 0;
        for (let number = 0; number < 40; number += 1) {
          const beganAt = performance.now();
          expect(await (await cortex.ask('quick')).json()).toMatchObject({ object: 'chat.completion' });
          slowestMs = Math.max(slowestMs, performance.now() - beganAt);
          await pause(50);
        }
        console.info(
          `8 streams at 1 kB/s: the engine sent ${(sent / 1e6).toFixed(1)} MB in 3 s and ${((floodedBytes - sent) / 1e6).toFixed(1)} MB in the next 2; ` +
            `the server grew by ${((residentBytes() - before) / 1e6).toFixed(1)} MB; others waited ${slowestMs.toFixed(0)} ms at most`,
        );
        // What the system's buffers of both connections took; then only what the clients read.
        expect(floodedBytes - sent).toBeLessThan(2_000_000);
        expect(residentBytes() - before).toBeLessThan(64_000_000);
        expect(slowestMs).toBeLessThan(250);
      } finally {
        clearInterval(reading);
      }
    });

    it('are let go where they take nothing for the idle time, and the engine is not blamed', async () => {
      await cortex.treat({ idle_timeout_seconds: 1 });
      const stalled = Array.from({ length: 4 }, () => client(false));
      for (const each of stalled) {
        each.socket.pause();
        each.ask(cortex, 'flood');
      }
      const rows = await cortex.rows(4);
      for (const row of rows) expect(row).toMatchObject({ outcome: 'client_gone', cause: 'client_gone', status: 499 });
      await eventually('the engine is told', () => engine.seen.every(({ abortedAtMs }) => abortedAtMs !== null));
      expect((await cortex.ask('quick')).status).toBe(200);
    });
  });

  describe('a client that vanishes', () => {
    beforeEach(async () => {
      await cortex.treat({ max_concurrent: 1 });
      await cortex.call('setLimit', { body: { subject: 'key', id: cortex.keyId, concurrent_requests: 2 } });
    });

    /** Both places of the key and the one of the model are free again. */
    async function expectPlacesFree(): Promise<void> {
      const answers = await Promise.all([cortex.ask('quick'), cortex.ask('quick')]);
      expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    }

    /** @returns the one row of the request */
    async function leave(gone: RawClient, reachedEngine: boolean): Promise<unknown> {
      const leftAtMs = performance.now();
      gone.leave();
      if (reachedEngine) {
        await eventually('the engine is told', () => engine.seen.at(-1)?.abortedAtMs !== null);
        expect((engine.seen.at(-1)?.abortedAtMs ?? 0) - leftAtMs).toBeLessThan(100);
      }
      const [row] = await cortex.rows(1);
      await expectPlacesFree();
      return row;
    }
    const left = { outcome: 'client_gone', cause: 'client_gone', status: 499, completion_tokens: 0 };

    it('before its body is whole reaches no engine', async () => {
      const gone = client();
      gone.ask(cortex, 'wait', 40);
      await pause(100);
      const row = await leave(gone, false);
      expect(row).toMatchObject(left);
      expect(engine.seen.filter(({ body }) => body.includes('wait'))).toEqual([]);
    });

    it('while it waits for a place gives the place in the queue back', async () => {
      const first = client();
      first.ask(cortex, 'tick');
      await eventually('the first is at work', () => engine.seen.length === 1);
      const gone = client();
      gone.ask(cortex, 'wait');
      await pause(100);
      gone.leave();
      expect(await cortex.rows(1)).toMatchObject([left]);
      first.leave();
      await cortex.rows(2);
      await expectPlacesFree();
      expect(engine.seen.filter(({ body }) => body.includes('wait'))).toEqual([]);
    });

    it('before the first byte ends the work of the engine at once', async () => {
      const gone = client();
      gone.ask(cortex, 'wait');
      await eventually('the engine has it', () => engine.seen.length === 1);
      expect(await leave(gone, true)).toMatchObject(left);
    });

    it('in the middle of a stream ends the work of the engine at once, and what came is counted', async () => {
      const gone = client();
      gone.ask(cortex, 'tick');
      await eventually('some events', () => gone.text.split('tick').length > 5);
      const row = await leave(gone, true);
      expect(row).toMatchObject({ ...left, completion_tokens: expect.any(Number), estimated: true });
      expect(Object(row).completion_tokens).toBeGreaterThan(4);
    });

    it('after the last byte has missed nothing', async () => {
      const gone = client();
      gone.ask(cortex, 'quick');
      await vi.waitFor(() => expect(gone.text).toContain('[DONE]'));
      expect(await leave(gone, false)).toMatchObject({ outcome: 'ok', cause: null, status: 200 });
    });
  });
});
