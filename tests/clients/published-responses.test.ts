import { isDeepStrictEqual } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { servingSettings } from '../../contract/routing.ts';
import { sendFrames, sendJson } from '../fixtures/scripted-engine.ts';
import { asPublished } from './engine-deviations.ts';
import { against, expectPublishedShape } from './openai-schemas.ts';
import { type ResponsesRecording, responseFrames, responsesRecordings } from './responses-recordings.ts';
import { ServedGateway } from './served-gateway.ts';

let gateway: ServedGateway;
const path = '/v1/responses';
const ask = { model: 'chatty', input: 'Hi' };
const { vllm, llama, openAi } = responsesRecordings;
const streamed = async () => (await gateway.post(path, { ...ask, stream: true })).text();
const event = z.looseObject({ type: z.string() });
/** The events of a stream, each under the name that stands before its data. */
const eventsOf = (stream: string) =>
  stream
    .split('\n\n')
    .filter((text) => text !== '')
    .map((text) => {
      const [, name, data = ''] = /^event: (.*)\ndata: (.*)$/.exec(text) ?? [];
      const told = event.parse(JSON.parse(data));
      expect(told.type).toBe(name);
      return told;
    });

beforeEach(async () => {
  gateway = new ServedGateway();
  await gateway.start();
});
afterEach(() => gateway.close());

function play(recording: ResponsesRecording): void {
  gateway.engine.script = async (response, { body }) => {
    if (!body.includes('"stream":true')) return sendJson(response, recording.answer);
    await sendFrames(response, responseFrames(recording));
    response.end();
  };
}

describe("a response reaches the client as the engine made it, of the published shape but for the engine's own deviations:", () => {
  it.each<[keyof typeof asPublished, string, ResponsesRecording]>([
    ['vllm', 'text', vllm.text],
    ['vllm', 'a tool call', vllm.toolCall],
    ['vllm', 'reasoning', vllm.reasoning],
    ['llama', 'text', llama.text],
    ['llama', 'a tool call', llama.toolCall],
    ['openAi', 'failure', openAi.failed],
    ['openAi', 'an end before its time', openAi.incomplete],
  ])("%s's %s, as a document and as every event of a stream", async (engine, _what, recording) => {
    play(recording);
    const document: unknown = await (await gateway.post(path, ask)).json();
    expect(document).toEqual(recording.answer);
    expectPublishedShape('Response', asPublished[engine](document));
    const stream = await streamed();
    expect(stream).toBe(responseFrames(recording).join(''));
    for (const told of eventsOf(stream)) {
      const mended = asPublished[engine](told);
      expectPublishedShape('ResponseStreamEvent', mended);
      const isRight = against('ResponseStreamEvent', told) === '';
      expect(isDeepStrictEqual(mended, told), `${told.type} is right as it came: ${isRight}`).toBe(isRight);
    }
  });
});

it("is held to a rule for its length under the API's own name for it", async () => {
  const parameters = { max_tokens: { default: 100, max: 200 } };
  gateway.table.replace({ serving: { chatty: servingSettings.parse({ parameters }) } });
  play(vllm.text);
  await gateway.post(path, ask);
  expect(JSON.parse(gateway.engine.only().body)).toEqual({ ...ask, max_output_tokens: 100 });
});

describe('an engine that fails inside the stream', () => {
  const frames = responseFrames(vllm.text);
  const last = async () => eventsOf(await streamed()).at(-1);

  it.each([
    ['between two events', frames.slice(0, 5)],
    ['inside an event', [...frames.slice(0, 5), frames[5]?.slice(0, 70) ?? '']],
  ])('by going away %s ends it with the event of an error, which has the next number', async (_when, sent) => {
    gateway.engine.script = async (response) => {
      await sendFrames(response, sent, 5);
      response.destroy();
    };
    const events = eventsOf(await streamed());
    const error = events.at(-1);
    expectPublishedShape('ResponseStreamEvent', error);
    expect(error).toMatchObject({ type: 'error', code: 'engine_interrupted', sequence_number: 5 });
    expect(events).toHaveLength(6);
  });

  it('by saying nothing more ends it so as well', async () => {
    gateway.table.replace({ serving: { chatty: servingSettings.parse({ idle_timeout_seconds: 0.05 }) } });
    gateway.engine.script = (response) => sendFrames(response, frames.slice(0, 3));
    const error = await last();
    expectPublishedShape('ResponseStreamEvent', error);
    expect(error).toMatchObject({ type: 'error', code: 'engine_timeout', sequence_number: 3 });
  });

  it('and tells so with response.failed is recorded as one that failed', async () => {
    play(openAi.failed);
    expect((await last())?.type).toBe('response.failed');
    expect(gateway.records).toMatchObject([{ status: 200, outcome: 'engine_error' }]);
  });

  it("and tells so as llama-server does, outside of the API's events, is heard by the client and recorded", async () => {
    const told = 'data: {"error":{"code":500,"message":"Compute error.","type":"server_error"}}\n\n';
    gateway.engine.script = async (response) => {
      await sendFrames(response, [...responseFrames(llama.text).slice(0, 4), told]);
      response.end();
    };
    expect((await streamed()).endsWith(told)).toBe(true);
    expect(gateway.records).toMatchObject([{ status: 200, outcome: 'engine_error' }]);
  });
});
