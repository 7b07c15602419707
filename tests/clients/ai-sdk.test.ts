import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, embedMany, generateText, Output, stepCountIs, streamText, tool } from 'ai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { eventually, sendFrames, token } from '../fixtures/scripted-engine.ts';
import { playRecordings } from './recorded-engine.ts';
import { chatStreams, multiByteText, vector } from './recordings.ts';
import { ServedGateway } from './served-gateway.ts';

let gateway: ServedGateway;
const cortex = (key = 'full') =>
  createOpenAICompatible({
    name: 'cortex',
    apiKey: token(key),
    baseURL: `${gateway.url}/v1`,
    includeUsage: true,
    supportsStructuredOutputs: true,
  });
const prompt = 'Hi';

beforeEach(async () => {
  gateway = new ServedGateway();
  await gateway.start();
  playRecordings(gateway.engine);
});
afterEach(() => gateway.close());

describe('the AI SDK', () => {
  it('generates text, and knows what it cost', async () => {
    const { text, usage } = await generateText({ model: cortex()('chatty'), prompt });
    expect(text).toBe(multiByteText);
    expect([usage.inputTokens, usage.outputTokens]).toEqual([7, 5]);
  });

  it('streams text, and knows what it cost', async () => {
    const { textStream, usage } = streamText({ model: cortex()('chatty'), prompt });
    const pieces = [];
    for await (const piece of textStream) pieces.push(piece);
    expect(pieces.join('')).toBe(multiByteText);
    expect((await usage).totalTokens).toBe(12);
  });

  it.each([true, false])('calls tools and goes on with what they gave (stream: %s)', async (isStream) => {
    const weather = tool({
      inputSchema: z.object({ city: z.string() }),
      execute: ({ city }) => Promise.resolve(`21 degrees in ${city}`),
    });
    const options = { model: cortex()('chatty'), prompt, tools: { weather }, stopWhen: stepCountIs(2) };
    const text = isStream ? await streamText(options).text : (await generateText(options)).text;
    expect(text).toBe(multiByteText);
    expect(JSON.parse(gateway.engine.seen[1]?.body ?? '{}').messages.at(-1).content).toContain('21 degrees in Köln');
  });

  it('gets an object of the schema that it gave', async () => {
    const output = Output.object({ schema: z.object({ city: z.string(), degrees: z.number() }) });
    const made = await generateText({ model: cortex()('chatty'), prompt, output });
    expect(made.output).toEqual({ city: 'Köln', degrees: 21 });
  });

  it('tells thinking from the answer', async () => {
    playRecordings(gateway.engine, 'reasoning');
    const made = streamText({ model: cortex()('chatty'), prompt });
    expect([await made.reasoningText, await made.text]).toEqual(['The user greets.', 'Hello']);
  });

  it('embeds many texts', async () => {
    const { embeddings, usage } = await embedMany({
      model: cortex().embeddingModel('vectors'),
      values: ['a', 'b'],
    });
    expect(embeddings).toEqual([vector, vector]);
    expect(usage.tokens).toBe(8);
  });

  it('stops the engine within 100 ms when it is aborted', async () => {
    gateway.engine.script = (response) => sendFrames(response, Array<string>(2000).fill(chatStreams.text[1]), 2);
    const stop = new AbortController();
    let leftAtMs = Number.NaN;
    for await (const _ of streamText({ model: cortex()('chatty'), prompt, abortSignal: stop.signal }).textStream) {
      if (stop.signal.aborted) continue;
      leftAtMs = performance.now();
      stop.abort();
    }
    await eventually('the engine sees it', () => gateway.engine.only().abortedAtMs !== null);
    expect((gateway.engine.only().abortedAtMs ?? Number.NaN) - leftAtMs).toBeLessThan(100);
  });

  it.each([
    ['an unknown key', 'nobody', 'chatty', 401, false],
    ['an unknown model', 'full', 'nobody', 404, false],
    ['a model that is loading', 'full', 'sleepy', 503, true],
  ])('reads the refusal of %s, and whether to try again', async (_what, key, model, status, isRetryable) => {
    const asked = generateText({ model: cortex(key)(model), prompt, maxRetries: 0 });
    const error = await asked.catch((thrown: unknown) => thrown);
    expect(APICallError.isInstance(error) ? [error.statusCode, error.isRetryable] : error).toEqual([
      status,
      isRetryable,
    ]);
    expect(error).toHaveProperty('message', expect.stringMatching(/key|model|nobody|sleepy/i));
  });
});
