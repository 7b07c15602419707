import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { engineKey, eventually, sendFrames, token } from '../fixtures/scripted-engine.ts';
import { playRecordings } from './recorded-engine.ts';
import { chatStreams, errorFrame, multiByteText, streamOf, vector, withCrlf } from './recordings.ts';
import { ServedGateway } from './served-gateway.ts';

let gateway: ServedGateway;
const chat = { model: 'chatty', messages: [{ role: 'user' as const, content: 'Hi' }] };
const city = z.object({ city: z.string(), degrees: z.number() });
const weather = {
  type: 'function' as const,
  function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
};
const client = () => new OpenAI({ apiKey: token('full'), baseURL: `${gateway.url}/v1`, maxRetries: 0, timeout: 5000 });

beforeEach(async () => {
  gateway = new ServedGateway();
  await gateway.start();
  playRecordings(gateway.engine);
});
afterEach(() => gateway.close());

describe("OpenAI's client", () => {
  it('gets a chat answer as one document, and the id that the gateway gave the request', async () => {
    const answer = await client().chat.completions.create(chat);
    expect(answer.choices[0]?.message.content).toBe(multiByteText);
    expect(answer.usage?.total_tokens).toBe(12);
    expect(answer._request_id).toBe(gateway.records[0]?.request_id);
  });

  it('gets every choice of n, and log probabilities', async () => {
    const two = await client().chat.completions.create({ ...chat, n: 2 });
    expect(two.choices.map((choice) => choice.message.content)).toEqual(['one', 'two']);
    const told = await client().chat.completions.create({ ...chat, logprobs: true, top_logprobs: 1 });
    expect(told.choices[0]?.logprobs?.content?.[0]).toMatchObject({ token: 'Hi', logprob: -0.25, bytes: [72, 105] });
  });

  it('reads a stream, with usage only where it asked for it', async () => {
    for (const include_usage of [true, false]) {
      let text = '';
      const used = [];
      const stream = await client().chat.completions.create({
        ...chat,
        stream: true,
        stream_options: { include_usage },
      });
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? '';
        if (chunk.usage != null) used.push(chunk.usage.total_tokens);
      }
      expect(text).toBe(multiByteText);
      expect(used).toEqual(include_usage ? [12] : []);
    }
  });

  it.each(['LF', 'CRLF'])('reads characters that the network cut apart (lines end in %s)', async (lineEnd) => {
    const frames = streamOf(chatStreams.text, true);
    const bytes = Buffer.from((lineEnd === 'LF' ? frames : withCrlf(frames)).join(''));
    const parts = Array.from({ length: Math.ceil(bytes.length / 7) }, (_, at) => bytes.subarray(7 * at, 7 * at + 7));
    gateway.engine.script = async (response) => {
      await sendFrames(response, parts);
      response.end();
    };
    const answer = await client().chat.completions.stream(chat).finalChatCompletion();
    expect(answer.choices[0]?.message.content).toBe(multiByteText);
  });

  it('reads events of 8 KB', async () => {
    playRecordings(gateway.engine, 'large');
    const answer = await client().chat.completions.stream(chat).finalChatCompletion();
    const expected = ['a', 'b', 'c'].map((letter) => letter.repeat(8 * 1024)).join('');
    expect(answer.choices[0]?.message.content).toBe(expected);
  });

  it('keeps the choices of a stream with n=2 apart', async () => {
    const stream = client().chat.completions.stream({ ...chat, n: 2 });
    const { choices } = await stream.finalChatCompletion();
    expect(choices.map((choice) => choice.message.content)).toEqual(['one', 'two']);
  });

  it('puts a whole answer together with its stream helper, and hears each piece', async () => {
    const pieces: string[] = [];
    const stream = client()
      .chat.completions.stream(chat)
      .on('content', (piece) => pieces.push(piece));
    expect((await stream.finalChatCompletion()).choices[0]?.message.content).toBe(multiByteText);
    expect(pieces.join('')).toBe(multiByteText);
  });

  it('reads log probabilities from a stream', async () => {
    const stream = client().chat.completions.stream({ ...chat, logprobs: true });
    expect((await stream.finalChatCompletion()).choices[0]?.logprobs?.content?.[0]?.token).toBe('Hi');
  });

  it('sees what a reasoning model thought', async () => {
    playRecordings(gateway.engine, 'reasoning');
    const told = z.object({ reasoning_content: z.string().default('') });
    let thought = '';
    for await (const { choices } of await client().chat.completions.create({ ...chat, stream: true })) {
      thought += told.parse(choices[0]?.delta).reasoning_content;
    }
    expect(thought).toBe('The user greets.');
  });

  it('puts the call of a tool together from its pieces', async () => {
    const stream = client().chat.completions.stream({ ...chat, tools: [weather] });
    const call = (await stream.finalChatCompletion()).choices[0]?.message.tool_calls?.[0];
    expect(call).toMatchObject({ id: 'call_1', function: { name: 'weather', arguments: '{"city":"Köln"}' } });
  });

  it.each([true, false])('runs tools and sends what they gave (stream: %s)', async (stream) => {
    const asked: unknown[] = [];
    const tool = {
      type: 'function' as const,
      function: {
        name: 'weather',
        description: 'The weather',
        parameters: weather.function.parameters,
        parse: JSON.parse,
        function: (given: object) => {
          asked.push(given);
          return '21 degrees';
        },
      },
    };
    const runner = stream
      ? client().chat.completions.runTools({ ...chat, stream: true, tools: [tool] })
      : client().chat.completions.runTools({ ...chat, tools: [tool] });
    expect(await runner.finalContent()).toBe(multiByteText);
    expect(asked).toEqual([{ city: 'Köln' }]);
    expect(JSON.parse(gateway.engine.seen[1]?.body ?? '{}').messages.at(-1)).toMatchObject({
      role: 'tool',
      tool_call_id: 'call_1',
      content: '21 degrees',
    });
  });

  it('parses an answer that follows a zod schema, as a document and as a stream', async () => {
    const body = { ...chat, response_format: zodResponseFormat(city, 'city') };
    const expected = { city: 'Köln', degrees: 21 };
    expect((await client().chat.completions.parse(body)).choices[0]?.message.parsed).toEqual(expected);
    const streamed = await client().chat.completions.stream(body).finalChatCompletion();
    expect(streamed.choices[0]?.message.parsed).toEqual(expected);
    expect(JSON.parse(gateway.engine.seen[0]?.body ?? '{}').response_format.json_schema.name).toBe('city');
  });

  it.each(['stream helper', 'iterator'])('stops the engine within 100 ms by aborting its %s', async (way) => {
    const [opening, word] = chatStreams.text;
    gateway.engine.script = (response) => sendFrames(response, [opening, ...Array<string>(2000).fill(word)], 2);
    let leftAtMs = Number.NaN;
    if (way === 'iterator') {
      const stream = await client().chat.completions.create({ ...chat, stream: true });
      for await (const _ of stream) {
        leftAtMs = performance.now();
        stream.controller.abort();
      }
    } else {
      const stream = client().chat.completions.stream(chat);
      stream.once('content', () => {
        leftAtMs = performance.now();
        stream.abort();
      });
      await expect(stream.done()).rejects.toBeInstanceOf(OpenAI.APIUserAbortError);
    }
    await eventually('the engine sees it', () => gateway.engine.only().abortedAtMs !== null);
    expect((gateway.engine.only().abortedAtMs ?? Number.NaN) - leftAtMs).toBeLessThan(100);
  });

  it('throws when the engine tells an error inside the stream', async () => {
    gateway.engine.script = async (response) => {
      await sendFrames(response, [...chatStreams.text.slice(0, 2), errorFrame]);
      response.end();
    };
    const read = client().chat.completions.stream(chat).finalChatCompletion();
    await expect(read).rejects.toMatchObject({ message: expect.stringContaining('CUDA out of memory') });
  });

  it('throws when the engine dies inside the stream', async () => {
    gateway.engine.script = async (response) => {
      await sendFrames(response, chatStreams.text.slice(0, 3), 5);
      response.destroy();
    };
    const read = client().chat.completions.stream(chat).finalChatCompletion();
    await expect(read).rejects.toMatchObject({ code: 'engine_interrupted', type: 'server_error' });
  });

  it('completes text, as a document and as a stream', async () => {
    const ask = { model: 'chatty', prompt: 'Once' };
    expect((await client().completions.create(ask)).choices[0]?.text).toBe(' there was');
    let text = '';
    for await (const { choices } of await client().completions.create({ ...ask, stream: true }))
      text += choices[0]?.text ?? '';
    expect(text).toBe(' there was');
  });

  it.each([undefined, 'float', 'base64'] as const)('gets embeddings (encoding_format: %s)', async (form) => {
    const ask = { model: 'vectors', input: ['a', 'b'], ...(form === undefined ? {} : { encoding_format: form }) };
    const { data } = await client().embeddings.create(ask);
    const packed = Buffer.from(Float32Array.from(vector).buffer).toString('base64');
    expect(data.map(({ embedding }) => embedding)).toEqual(Array(2).fill(form === 'base64' ? packed : vector));
    expect(JSON.parse(gateway.engine.only().body).encoding_format).toBe(form ?? 'base64');
  });

  it('lists the models page by page, and gives one, also one with a slash in its name', async () => {
    const names = [];
    for await (const model of client().models.list()) names.push(model.id);
    expect(names).toEqual(['chatty', 'other', 'org/slashed', 'vectors']);
    expect(await client().models.retrieve('org/slashed')).toMatchObject({ id: 'org/slashed', object: 'model' });
  });

  it("tells the engine nothing of the client's credential and headers", async () => {
    await client().chat.completions.create(chat);
    const { headers } = gateway.engine.only();
    expect(headers.authorization).toBe(`Bearer ${engineKey}`);
    expect(Object.keys(headers).filter((name) => name.startsWith('x-stainless'))).toEqual([]);
  });
});

describe('the bytes of a stream', () => {
  it.each(Object.keys(chatStreams) as (keyof typeof chatStreams)[])(
    "of '%s' are the engine's: with the usage chunk where it was asked for, else without it",
    async (kind) => {
      playRecordings(gateway.engine, kind);
      for (const include_usage of [true, false]) {
        const body = { ...chat, stream: true, ...(include_usage ? { stream_options: { include_usage } } : {}) };
        const text = await (await gateway.post('/v1/chat/completions', body)).text();
        expect(text).toBe(streamOf(chatStreams[kind], include_usage).join(''));
      }
    },
  );
});
