import type { UsageMetadata } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { eventually, sendFrames, token } from '../fixtures/scripted-engine.ts';
import { playRecordings } from './recorded-engine.ts';
import { chatStreams, multiByteText, vector } from './recordings.ts';
import { ServedGateway } from './served-gateway.ts';

let gateway: ServedGateway;
const connection = (key = 'full') => ({
  apiKey: token(key),
  configuration: { baseURL: `${gateway.url}/v1` },
  maxRetries: 0,
});
const model = (key = 'full', name = 'chatty') => new ChatOpenAI({ ...connection(key), model: name });
const weather = tool(({ city }: { city: string }) => `21 degrees in ${city}`, {
  name: 'weather',
  description: 'The weather',
  schema: z.object({ city: z.string() }),
});

beforeEach(async () => {
  gateway = new ServedGateway();
  await gateway.start();
  playRecordings(gateway.engine);
});
afterEach(() => gateway.close());

describe('LangChain', () => {
  it('gets an answer, and knows what it cost', async () => {
    const answer = await model().invoke('Hi');
    expect(answer.content).toBe(multiByteText);
    expect(answer.usage_metadata).toMatchObject({ input_tokens: 7, output_tokens: 5, total_tokens: 12 });
  });

  it('streams an answer, and knows what it cost', async () => {
    let text = '';
    const used: (UsageMetadata | undefined)[] = [];
    for await (const { content, usage_metadata } of await model().stream('Hi')) {
      text += String(content);
      used.push(usage_metadata);
    }
    const tokens = used.reduce((sum, usage) => sum + (usage?.total_tokens ?? 0), 0);
    expect([text, tokens]).toEqual([multiByteText, 12]);
  });

  it('answers with the call of a tool that can be run', async () => {
    const { tool_calls: calls } = await model().bindTools([weather]).invoke('Hi');
    expect(calls?.[0]).toMatchObject({ id: 'call_1', name: 'weather', args: { city: 'Köln' } });
    expect(await weather.invoke(z.object({ city: z.string() }).parse(calls?.[0]?.args))).toBe('21 degrees in Köln');
  });

  it('puts the call of a tool together from a stream', async () => {
    const stream = await model().bindTools([weather]).stream('Hi');
    let whole: Awaited<ReturnType<typeof stream.next>>['value'];
    for await (const chunk of stream) whole = whole === undefined ? chunk : whole.concat(chunk);
    expect(whole?.tool_calls?.[0]).toMatchObject({ name: 'weather', args: { city: 'Köln' } });
  });

  it('gets an object of the schema that it gave', async () => {
    const structured = model().withStructuredOutput(z.object({ city: z.string(), degrees: z.number() }), {
      method: 'jsonSchema',
    });
    expect(await structured.invoke('Hi')).toEqual({ city: 'Köln', degrees: 21 });
  });

  it('embeds many texts', async () => {
    const embeddings = new OpenAIEmbeddings({ ...connection(), model: 'vectors' });
    expect(await embeddings.embedDocuments(['a', 'b'])).toEqual([vector, vector]);
  });

  it('stops the engine within 100 ms when it is aborted', async () => {
    gateway.engine.script = (response) => sendFrames(response, Array<string>(2000).fill(chatStreams.text[1]), 2);
    const stop = new AbortController();
    let leftAtMs = Number.NaN;
    const read = async () => {
      for await (const _ of await model().stream('Hi', { signal: stop.signal })) {
        if (stop.signal.aborted) continue;
        leftAtMs = performance.now();
        stop.abort();
      }
    };
    await read().catch(() => undefined);
    await eventually('the engine sees it', () => gateway.engine.only().abortedAtMs !== null);
    expect((gateway.engine.only().abortedAtMs ?? Number.NaN) - leftAtMs).toBeLessThan(100);
  });

  it.each([
    ['an unknown key', 'nobody', 'chatty', 401],
    ['an unknown model', 'full', 'nobody', 404],
    ['a model of another task', 'full', 'vectors', 400],
  ])('reads the refusal of %s', async (_what, key, name, status) => {
    await expect(model(key, name).invoke('Hi')).rejects.toMatchObject({ status });
  });
});
