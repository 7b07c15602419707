import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { token } from '../fixtures/scripted-engine.ts';
import { expectPublishedShape } from './openai-schemas.ts';
import { rawExchange, statusesIn } from './raw-exchange.ts';
import { playRecordings } from './recorded-engine.ts';
import { type ChatKind, chatStreams, streamOf, withCrlf } from './recordings.ts';
import { ServedGateway } from './served-gateway.ts';

let gateway: ServedGateway;
const path = '/v1/chat/completions';
const chat = { model: 'chatty', messages: [{ role: 'user', content: 'Hi' }] };
const good = token('full');

beforeEach(async () => {
  gateway = new ServedGateway();
  await gateway.start();
  playRecordings(gateway.engine);
});
afterEach(() => gateway.close());

describe('whatever stands in a credential', () => {
  const nearlyGood = fc.oneof(
    fc.string({ maxLength: 40 }).map((more) => `Bearer ${good}${more}x`),
    fc.nat(good.length - 1).map((at) => `Bearer ${good.slice(0, at)}`),
    fc.constantFrom('Bearer', 'Bearer ', 'Basic', `Basic ${good}`, good, `Bearer ${good},${good}`, `Bearer "${good}"`),
    fc.constantFrom(`Bearer ${good.toUpperCase()}`, `Bearer ${good} ${good}`, `Bearer:${good}`, 'Bearer __proto__'),
  );
  const value = fc
    .oneof(
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      nearlyGood.map((text) => Buffer.from(text)),
    )
    .map((bytes) => Buffer.from(bytes.filter((byte) => byte !== 0x0d && byte !== 0x0a)));

  it.each(['Authorization', 'x-api-key'])(
    '(%s), without a good key it is 401, or 400 where it is no header',
    async (name) => {
      const body = JSON.stringify(chat);
      const head = Buffer.from(
        `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${body.length}\r\n`,
      );
      await fc.assert(
        fc.asyncProperty(value, async (bytes) => {
          fc.pre(
            !bytes.includes(Buffer.from(`Bearer ${good}`)) || bytes.toString('latin1').trim() !== `Bearer ${good}`,
          );
          fc.pre(bytes.toString('latin1').trim() !== good || name === 'Authorization');
          const header = Buffer.concat([Buffer.from(`${name}: `), bytes, Buffer.from('\r\n\r\n')]);
          const [status] = statusesIn(
            await rawExchange(gateway.port, Buffer.concat([head, header, Buffer.from(body)])),
          );
          expect([400, 401]).toContain(status);
        }),
        { numRuns: 150 },
      );
      expect(gateway.engine.seen).toEqual([]);
      expect(gateway.logged).toEqual([]);
    },
  );
});

describe('whatever stands in a body', () => {
  /** A JSON error of OpenAI's shape, or an answer of the engine to the very bytes that were sent. */
  const expectHandled = async (at: string, body: string | Uint8Array) => {
    const before = gateway.engine.seen.length;
    const answer = await gateway.post(at, body);
    const text = await answer.text();
    expect(answer.status).not.toBe(500);
    if (answer.status === 200) {
      expect(gateway.engine.seen).toHaveLength(before + 1);
      return;
    }
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
    const error: unknown = JSON.parse(text);
    // What the engine said goes on as it came, and vLLM's code is a number.
    if (gateway.engine.seen.length === before) expectPublishedShape('ErrorResponse', error);
    else expect(error).toMatchObject({ error: { message: expect.any(String) } });
  };
  const paths = fc.constantFrom(path, '/v1/completions', '/v1/embeddings');

  it('as bytes, it is answered with an error of the published shape', async () => {
    await fc.assert(fc.asyncProperty(paths, fc.uint8Array({ maxLength: 400 }), expectHandled), { numRuns: 150 });
    expect(gateway.logged).toEqual([]);
  });

  it('as JSON, it is answered with an error of the published shape', async () => {
    await fc.assert(fc.asyncProperty(paths, fc.json(), expectHandled), { numRuns: 150 });
    expect(gateway.logged).toEqual([]);
  });

  it('beside the name of a model, it is refused in that shape or goes to the engine', async () => {
    const names = fc.constantFrom('chatty', 'vectors', 'sleepy', 'nobody', '__proto__', 'constructor', '');
    const odd = fc.record(
      {
        model: fc.oneof({ weight: 4, arbitrary: names }, { weight: 1, arbitrary: fc.jsonValue() }),
        messages: fc.oneof(fc.constant(chat.messages), fc.jsonValue()),
        stream: fc.oneof(fc.boolean(), fc.jsonValue()),
        stream_options: fc.oneof(fc.constant({ include_usage: true }), fc.jsonValue()),
        n: fc.oneof(fc.constant(2), fc.jsonValue()),
        prompt: fc.jsonValue(),
        input: fc.jsonValue(),
      },
      { requiredKeys: ['model'] },
    );
    await fc.assert(
      fc.asyncProperty(paths, odd, (at, body) => expectHandled(at, JSON.stringify(body))),
      { numRuns: 250 },
    );
    expect(gateway.logged.filter((line) => line.includes('failed'))).toEqual([]);
  });
});

describe('however the engine cuts its bytes', () => {
  const kinds = fc.constantFrom(...(Object.keys(chatStreams) as ChatKind[]).filter((kind) => kind !== 'large'));
  const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });

  /** The parts of `bytes` between places that `at` tells as shares of the whole. */
  const cut = (bytes: Buffer, at: readonly number[]) => {
    const places = [0, ...at.map((share) => Math.floor(share * bytes.length)).sort((a, b) => a - b), bytes.length];
    return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
  };

  const play = (parts: readonly Buffer[]) => {
    gateway.engine.script = async (response) => {
      response.socket?.setNoDelay(true);
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      for (const part of parts) {
        response.write(part);
        await sleep(1);
      }
      response.end();
    };
  };

  it.each(['LF', 'CRLF'])('the client gets the same bytes (%s)', async (lineEnd) => {
    const framesOf = (kind: ChatKind, withUsage: boolean) => {
      const frames = streamOf(chatStreams[kind], withUsage);
      return Buffer.from((lineEnd === 'LF' ? frames : withCrlf(frames)).join(''));
    };
    await fc.assert(
      fc.asyncProperty(kinds, cuts, fc.boolean(), async (kind, at, include_usage) => {
        play(cut(framesOf(kind, true), at));
        const body = { ...chat, stream: true, stream_options: { include_usage } };
        const got = Buffer.from(await (await gateway.post(path, body)).arrayBuffer());
        expect(got.equals(framesOf(kind, include_usage))).toBe(true);
      }),
      { numRuns: 100 },
    );
    expect(new Set(gateway.records.map((record) => record.completion_tokens))).toEqual(new Set([5]));
  });

  it('byte by byte, too', async () => {
    const frames = streamOf(chatStreams.text, true);
    play([...Buffer.from(frames.join(''))].map((byte) => Buffer.of(byte)));
    const answer = await gateway.post(path, { ...chat, stream: true });
    expect(await answer.text()).toBe(streamOf(chatStreams.text, false).join(''));
  });
});
