import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { ChatOpenAI } from '@langchain/openai';
import { generateText, streamText } from 'ai';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, token } from '../fixtures/scripted-engine.ts';
import { hasLlama, LlamaProcess } from './llama-process.ts';
import { expectPublishedShape } from './openai-schemas.ts';
import { ServedGateway } from './served-gateway.ts';

describe.runIf(hasLlama)('before a real llama.cpp', () => {
  let gateway: ServedGateway;
  let llama: LlamaProcess;
  const limits = { max_tokens: 12, seed: 1, temperature: 0 };
  const chat = { model: 'chatty', messages: [{ role: 'user' as const, content: 'Hi' }], ...limits };
  const openai = () => new OpenAI({ apiKey: token('full'), baseURL: `${gateway.url}/v1`, maxRetries: 0 });

  beforeAll(async () => {
    llama = new LlamaProcess();
    gateway = new ServedGateway();
    await Promise.all([llama.start(['--embeddings', '--parallel', '2', '--ctx-size', '4096']), gateway.start()]);
    gateway.serveFrom(llama.url, llama.apiKey);
  }, 60_000);
  afterAll(async () => {
    await gateway.close();
    await llama.stop();
  });

  it("OpenAI's client gets the same text as a document, as a stream and from its stream helper", async () => {
    const whole = await openai().chat.completions.create(chat);
    const text = whole.choices[0]?.message.content;
    expect(text).toMatch(/\S/);
    expect(whole.usage?.completion_tokens).toBe(12);
    let streamed = '';
    for await (const { choices } of await openai().chat.completions.create({ ...chat, stream: true }))
      streamed += choices[0]?.delta.content ?? '';
    const helped = await openai().chat.completions.stream(chat).finalChatCompletion();
    expect([streamed, helped.choices[0]?.message.content]).toEqual([text, text]);
  });

  it('what a stream cost is recorded as the engine counted it, though its client did not ask', async () => {
    const before = gateway.records.length;
    const stream = await openai().chat.completions.create({ ...chat, stream: true });
    for await (const chunk of stream) expect(chunk.usage ?? null).toBeNull();
    await eventually('a usage record', () => gateway.records.length > before);
    expect(gateway.records.at(-1)).toMatchObject({ completion_tokens: 12, estimated: false, outcome: 'ok' });
  });

  it('its chunks are of the published shape, and the usage chunk is there for who asks', async () => {
    const body = { ...chat, stream: true, stream_options: { include_usage: true } };
    const text = await (await gateway.post('/v1/chat/completions', body)).text();
    const events = text.split('\n\n').filter((event) => event !== '');
    expect(events.pop()).toBe('data: [DONE]');
    const chunks = events.map((event) => JSON.parse(event.replace(/^data: /, '')));
    for (const chunk of chunks) expectPublishedShape('CreateChatCompletionStreamResponse', chunk);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 12 } });
  });

  it("OpenAI's client completes text and gets vectors of length one, the same as floats and as base64", async () => {
    const completion = await openai().completions.create({ model: 'chatty', prompt: 'Once', ...limits });
    expect(completion.choices[0]?.finish_reason).toBe('length');
    const ask = { model: 'vectors', input: ['a', 'b'] };
    const packed = await openai().embeddings.create(ask);
    const plain = await openai().embeddings.create({ ...ask, encoding_format: 'float' });
    for (const [index, { embedding }] of packed.data.entries()) {
      expect(Math.hypot(...embedding)).toBeCloseTo(1, 5);
      for (const [at, value] of embedding.entries()) expect(plain.data[index]?.embedding[at]).toBeCloseTo(value, 5);
    }
  });

  it('the AI SDK and LangChain read it', async () => {
    const cortex = createOpenAICompatible({ name: 'cortex', apiKey: token('full'), baseURL: `${gateway.url}/v1` });
    const options = { model: cortex('chatty'), prompt: 'Hi', maxOutputTokens: 12, temperature: 0, seed: 1 };
    const { text } = await generateText(options);
    const streamed = await streamText(options).text;
    const chain = new ChatOpenAI({
      apiKey: token('full'),
      configuration: { baseURL: `${gateway.url}/v1` },
      model: 'chatty',
      maxTokens: 12,
      temperature: 0,
    });
    expect([streamed, (await chain.invoke('Hi')).content]).toEqual([text, text]);
  });

  it('an abort reaches the engine, which says so', async () => {
    const stream = openai().chat.completions.stream({ ...chat, max_tokens: 3000 });
    stream.once('content', () => stream.abort());
    await expect(stream.done()).rejects.toBeInstanceOf(OpenAI.APIUserAbortError);
    await eventually('llama.cpp cancels', () => llama.log.includes('cancel task'), 3000);
  });

  it('a prompt that is too long is a BadRequestError in the words of the engine', async () => {
    const messages = [{ role: 'user' as const, content: 'word '.repeat(4000) }];
    const asked = openai().chat.completions.create({ ...chat, messages });
    await expect(asked).rejects.toThrow(/exceeds the available context size/);
    await expect(asked).rejects.toBeInstanceOf(OpenAI.BadRequestError);
  });
});
