import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AnswerMeter, StreamMeter } from './usage-meter.ts';

/** Cuts bytes at any places: inside a character, between CR and LF, inside a name. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1))), bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

function passAll(chunks: readonly Buffer[], hideUsage: boolean) {
  const meter = new StreamMeter({ hideUsage });
  const passed = Buffer.concat([...chunks.map((chunk) => meter.pass(chunk)), meter.rest()]);
  return { passed, meter };
}

const lineEnd = fc.constantFrom('\n', '\r\n', '\r');
const places = fc.array(fc.nat(100_000), { maxLength: 40 });
const content = fc.oneof(
  fc.string({ unit: 'grapheme', minLength: 1 }),
  fc.constantFrom(
    '"usage":{"prompt_tokens":999}',
    '"choices":[]',
    '[DONE]',
    ',"usage":null}',
    '\n\n',
    '\r\n\r\ndata: ',
  ),
  fc.nat(9000).map((length) => 'é'.repeat(length + 1)),
);
const chunkOf = (text: string) => JSON.stringify({ choices: [{ index: 0, delta: { content: text } }] });
const usageChunk = JSON.stringify({ choices: [], usage: { prompt_tokens: 5, completion_tokens: 6, total_tokens: 11 } });

describe('a stream, cut anywhere', () => {
  it('gives the client what it would have got without our asking, and us the true counts', () => {
    fc.assert(
      fc.property(fc.array(content, { maxLength: 12 }), lineEnd, places, fc.boolean(), (texts, eol, cuts, nulls) => {
        const event = (data: string) => `data: ${data}${eol}${eol}`;
        const chunks = texts.map(chunkOf);
        const expected = [...chunks.map(event), `: ping${eol}${eol}`, event('[DONE]')].join('');
        const withNull = (data: string) => (nulls ? data.replace(/\}$/, ',"usage":null}') : data);
        const sent = [
          ...chunks.map((data) => event(withNull(data))),
          `: ping${eol}${eol}`,
          event(usageChunk),
          event('[DONE]'),
        ].join('');
        const { passed, meter } = passAll(cut(Buffer.from(sent), cuts), true);
        expect(passed.toString()).toBe(expected);
        expect(meter.counts()).toEqual({ promptTokens: 5, completionTokens: 6, cachedTokens: 0, estimated: false });
        expect(meter.done).toBe(true);
        expect(meter.failed).toBe(false);
      }),
    );
  });

  it('goes byte for byte to the client that asked for usage itself', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), places, (bytes, cuts) => {
        expect(passAll(cut(Buffer.from(bytes), cuts), false).passed.equals(Buffer.from(bytes))).toBe(true);
      }),
    );
  });

  it('loses no byte of what is not an event stream at all', () => {
    const noise = fc.array(
      fc.constantFrom('\n', '\r', '\r\n', 'data:', '"usage"', 'null', '{', '}', ',', ':', '\xff', ' '),
    );
    fc.assert(
      fc.property(noise, places, (parts, cuts) => {
        const bytes = Buffer.from(parts.join(''), 'latin1');
        fc.pre(!/"usage"\s*:\s*null/.test(parts.join('')));
        expect(passAll(cut(bytes, cuts), true).passed.equals(bytes)).toBe(true);
      }),
    );
  });

  it.each([true, false])(
    'passes every event in the chunk that ends it, and none before (hiding usage: %j)',
    (hideUsage) => {
      const meter = new StreamMeter({ hideUsage });
      const event = Buffer.from(`data: ${chunkOf('a')}\n\n`);
      for (let round = 0; round < 3; round += 1) {
        expect(meter.pass(event.subarray(0, -1)).length).toBe(0);
        expect(meter.pass(event.subarray(-1)).equals(event)).toBe(true);
      }
    },
  );

  it.each([true, false])(
    'that holds an event without an end keeps a bound of it and loses nothing (hiding usage: %j)',
    (hideUsage) => {
      const meter = new StreamMeter({ hideUsage });
      const chunk = Buffer.alloc(1024 * 1024, 'x');
      const chunks = Array.from({ length: 20 }, () => meter.pass(chunk).length);
      expect(chunks.reduce((sum, length) => sum + length, meter.rest().length)).toBe(20 * chunk.length);
      expect(chunks.at(-1)).toBe(chunk.length);
      expect(meter.counts().estimated).toBe(true);
    },
  );

  it('without usage is counted by the events that brought text', () => {
    const events = ['{"choices":[{"delta":{"role":"assistant","content":""}}]}', chunkOf('a'), chunkOf('b'), '[DONE]'];
    const { meter } = passAll([Buffer.from(events.map((data) => `data: ${data}\n\n`).join(''))], true);
    expect(meter.counts()).toEqual({ promptTokens: 0, completionTokens: 2, cachedTokens: 0, estimated: true });
  });
});

describe('a document', () => {
  const count = (chunks: readonly Buffer[]) => {
    const meter = new AnswerMeter('application/json');
    for (const chunk of chunks) meter.see(chunk);
    return meter.counts();
  };
  const usage = { prompt_tokens: 5, prompt_tokens_details: { cached_tokens: 4 }, completion_tokens: 6 };

  it.each([0, 3 * 1024 * 1024])('tells its usage, whichever side of %i bytes of text it stands', (sizeBytes) => {
    const text = `"usage":{"prompt_tokens":999,"completion_tokens":999}${'é'.repeat(sizeBytes / 2)}`;
    for (const answer of [
      { usage, text },
      { text, usage },
    ]) {
      const bytes = Buffer.from(JSON.stringify(answer));
      const chunks = cut(
        bytes,
        Array.from({ length: 100 }, (_, index) => index * 65_537),
      );
      expect(count(chunks)).toEqual({ promptTokens: 5, completionTokens: 6, cachedTokens: 4, estimated: false });
    }
  });

  it.each([
    '',
    '{}',
    '[]',
    'not JSON',
    '{"usage":null}',
    '{"usage":{"prompt_tokens":-1}}',
    '{"usage":{"prompt_tokens":"9"}}',
  ])('that does not tell it is estimated: %s', (text) => {
    expect(count([Buffer.from(text)])).toEqual({
      promptTokens: 0,
      completionTokens: 0,
      cachedTokens: 0,
      estimated: true,
    });
  });
});

it('an answer is JSON however its type is written', () => {
  const meter = new AnswerMeter('Application/JSON; charset=utf-8');
  meter.see(Buffer.from('{"usage":{"prompt_tokens":5,"completion_tokens":6}}'));
  expect(meter.counts()).toMatchObject({ promptTokens: 5, completionTokens: 6, estimated: false });
});
