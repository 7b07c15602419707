import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  engineKey,
  eventually,
  ScriptedEngine,
  sendFrames,
  sendJson,
} from '../../../tests/fixtures/scripted-engine.ts';
import { EngineClient } from './engine-client/engine-client.ts';
import { sendMeasured } from './measured-request.ts';

let engine: ScriptedEngine;
let client: EngineClient;
beforeEach(async () => {
  engine = new ScriptedEngine();
  client = new EngineClient();
  await engine.start();
});
afterEach(async () => {
  client.close();
  await engine.close();
});

const ask = (signal = new AbortController().signal, timeoutMs = 2000) =>
  sendMeasured(
    client,
    { id: 'e', url: engine.url, apiKey: engineKey, model: 'tiny', ca: null, external: false },
    { path: '/v1/completions', body: { prompt: 'x', stream: true }, timeoutMs },
    signal,
  );
const event = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`;
const text = (piece: string) => event({ choices: [{ text: piece }] });
const usage = event({ choices: [], usage: { prompt_tokens: 7, completion_tokens: 40 } });
const done = 'data: [DONE]\n\n';

describe('a request of our own', () => {
  it("goes with the engine's key and name, and has the engine's counts, not those of its events", async () => {
    engine.script = async (response) => {
      await sendFrames(response, [text('a'), text('b c d'), usage, done]);
      response.end();
    };
    const answer = await ask();
    expect(answer).toMatchObject({ promptTokens: 7, completionTokens: 40 });
    const { headers, body } = engine.only();
    expect(headers.authorization).toBe(`Bearer ${engineKey}`);
    expect(JSON.parse(body)).toEqual({ model: 'tiny', prompt: 'x', stream: true });
  });

  it('has its first token where text comes, and its end where the stream says so', async () => {
    const role = event({ choices: [{ delta: { role: 'assistant', content: '' } }] });
    engine.script = async (response) => {
      await sendFrames(response, [role], 60);
      await sendFrames(response, [text('a')], 60);
      await sendFrames(response, [usage], 60);
      await sendFrames(response, [done], 1000);
      response.end();
    };
    const { firstTextMs, durationMs } = await ask();
    expect(firstTextMs).toBeGreaterThan(50);
    expect(durationMs - (firstTextMs ?? 0)).toBeGreaterThan(50);
    expect(durationMs).toBeLessThan(1000);
  });

  it('counts nothing where the engine tells nothing', async () => {
    engine.script = async (response) => {
      await sendFrames(response, [text('a'), text('b'), done]);
      response.end();
    };
    expect(await ask()).toMatchObject({ promptTokens: null, completionTokens: null });
  });

  it('has an answer in one piece whole, without a first token', async () => {
    const body = { data: [{ embedding: [1] }], usage: { prompt_tokens: 3, total_tokens: 3 } };
    engine.script = (response) => sendJson(response, body);
    const answer = await ask();
    expect(answer).toMatchObject({ promptTokens: 3, firstTextMs: null });
    expect(JSON.parse(answer.body.toString())).toEqual(body);
  });

  it('fails with the cause: what the engine says, what it lacks, or how it went', async () => {
    engine.script = (response) => sendJson(response, { error: { message: 'the context is full' } }, 400);
    await expect(ask()).rejects.toMatchObject({
      code: 'engine_failed',
      message: "The engine of 'tiny' failed (HTTP 400): the context is full",
    });
    engine.script = (response) => sendJson(response, { error: { message: 'File Not Found' } }, 404);
    await expect(ask()).rejects.toMatchObject({ code: 'engine_lacks_endpoint' });
    engine.script = async (response) => {
      await sendFrames(response, [text('a'), event({ error: { message: 'CUDA error' } })]);
      response.end();
    };
    await expect(ask()).rejects.toThrow('CUDA error');
    engine.script = async (response) => {
      await sendFrames(response, [text('a')]);
      response.end();
    };
    await expect(ask()).rejects.toMatchObject({ code: 'engine_interrupted' });
    engine.script = (response) => void response.destroy();
    await expect(ask()).rejects.toMatchObject({ code: 'engine_unreachable' });
  });

  it('leaves the engine at once when it is not wanted any more, or takes too long', async () => {
    engine.script = (response) => sendFrames(response, [text('a')]);
    const stop = new AbortController();
    const asked = ask(stop.signal).catch((error: unknown) => error);
    await eventually('the request', () => engine.seen.length === 1);
    const reason = new Error('not wanted');
    stop.abort(reason);
    expect(await asked).toBe(reason);
    await eventually('the end of the work', () => engine.only().abortedAtMs !== null);
    expect(await ask(stop.signal).catch((error: unknown) => error)).toBe(reason);
    expect(engine.seen).toHaveLength(1);

    await expect(ask(undefined, 50)).rejects.toMatchObject({ code: 'engine_too_slow' });
    await eventually('the end of the work', () => engine.seen.every(({ abortedAtMs }) => abortedAtMs !== null));
  });
});
