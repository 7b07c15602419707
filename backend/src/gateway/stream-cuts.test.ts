import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GatewayUnderTest, sendFrames } from '../../../tests/fixtures/scripted-engine.ts';
import { StreamMeter } from './usage-meter.ts';

const event = (content: string) =>
  `data: ${JSON.stringify({ id: 'c', choices: [{ index: 0, delta: { content }, finish_reason: null }] })}\n\n`;
const usage = 'data: {"id":"c","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":4,"total_tokens":11}}\n\n';
const before = `: a comment\n\n${event('é🙂\u2028 \\n\\n data: [DONE]')}${event('"usage":null')}`;
const large = event('8 KB 漢字 '.repeat(700));
const after = 'data: [DONE]\n\n';
const lineEnds = { LF: '\n', CRLF: '\r\n', CR: '\r' } as const;
const kinds = Object.keys(lineEnds) as (keyof typeof lineEnds)[];
const withEnds = (text: string, kind: keyof typeof lineEnds) => Buffer.from(text.replaceAll('\n', lineEnds[kind]));

describe.each(kinds)('a stream whose lines end in %s, cut at any byte,', (kind) => {
  it('is what it would be had nobody asked for usage', () => {
    const bytes = withEnds(before + large + usage + after, kind);
    const wanted = withEnds(before + large + after, kind);
    expect(Buffer.byteLength(large)).toBeGreaterThan(8 * 1024);
    for (let at = 1; at < bytes.length; at += 1) {
      const meter = new StreamMeter({ hideUsage: true });
      const got = [meter.pass(bytes.subarray(0, at)), meter.pass(bytes.subarray(at)), meter.rest()];
      if (!Buffer.concat(got).equals(wanted)) expect.fail(`cut at ${at}, it is another stream`);
      if (meter.counts().completionTokens !== 4 || !meter.done) expect.fail(`cut at ${at}, its usage is not seen`);
    }
  });

  it('is every byte of it to the client that asked for usage', () => {
    const bytes = withEnds(before + usage + after, kind);
    for (let at = 1; at < bytes.length; at += 1) {
      const meter = new StreamMeter({ hideUsage: false });
      const got = [meter.pass(bytes.subarray(0, at)), meter.pass(bytes.subarray(at)), meter.rest()];
      if (!Buffer.concat(got).equals(bytes)) expect.fail(`cut at ${at}, it is another stream`);
      if (meter.counts().promptTokens !== 7 || !meter.done) expect.fail(`cut at ${at}, its usage is not seen`);
    }
  });
});

describe('over real sockets', () => {
  let gateway: GatewayUnderTest;
  beforeEach(async () => {
    gateway = new GatewayUnderTest();
    await gateway.start();
  });
  afterEach(() => gateway.close());

  it.each(kinds)('a stream cut at any byte is the same to the client (%s)', async (kind) => {
    const bytes = withEnds(event('é🙂') + usage + after, kind);
    const wanted = withEnds(event('é🙂') + after, kind);
    const ask = async (at: number) => {
      const answer = await gateway.post('/v1/chat/completions', {
        model: 'chatty',
        messages: [],
        stream: true,
        cut: at,
      });
      return { at, got: Buffer.from(await answer.arrayBuffer()) };
    };
    gateway.engine.script = async (response, { body }) => {
      const { cut } = JSON.parse(body) as { cut: number };
      await sendFrames(response, [bytes.subarray(0, cut), bytes.subarray(cut)]);
      response.end();
    };
    const cuts = Array.from({ length: bytes.length - 1 }, (_, at) => at + 1);
    for (let first = 0; first < cuts.length; first += 16) {
      const answers = await Promise.all(cuts.slice(first, first + 16).map(ask));
      expect(answers.filter(({ got }) => !got.equals(wanted)).map(({ at }) => at)).toEqual([]);
    }
    expect(
      gateway.records.every(({ prompt_tokens, completion_tokens }) => prompt_tokens === 7 && completion_tokens === 4),
    ).toBe(true);
    expect(gateway.records).toHaveLength(cuts.length);
  });

  it('a stream is known as one however its media type is written', async () => {
    gateway.engine.script = async (response) => {
      response.writeHead(200, { 'content-type': 'Text/Event-Stream;charset=UTF-8' });
      await sendFrames(response, [event('a'), usage, after]);
      response.end();
    };
    const answer = await gateway.post('/v1/chat/completions', { model: 'chatty', messages: [], stream: true });
    expect(await answer.text()).toBe(event('a') + after);
  });
});
