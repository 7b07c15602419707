import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sendFrames, sendJson } from '../fixtures/scripted-engine.ts';
import { audioRecordings } from './audio-recordings.ts';
import { asPublished } from './engine-deviations.ts';
import { against, expectPublishedShape } from './openai-schemas.ts';
import { ServedGateway } from './served-gateway.ts';

let gateway: ServedGateway;
const { vllm, llama, openAi } = audioRecordings;
const transcribe = (more: Readonly<Record<string, string>> = {}) =>
  gateway.postForm({ model: 'chatty', file: 'RIFF', ...more });
const framesOf = (events: readonly object[]) => [
  ...events.map((event) => `data: ${JSON.stringify(event)}\n\n`),
  'data: [DONE]\n\n',
];
const eventsOf = (stream: string): unknown[] =>
  stream
    .split('\n\n')
    .filter((text) => text !== '' && text !== 'data: [DONE]')
    .map((text) => JSON.parse(text.replace(/^data: /, '')));

beforeEach(async () => {
  gateway = new ServedGateway();
  await gateway.start();
});
afterEach(() => gateway.close());

describe("a transcription reaches the client as the engine made it, of the published shape but for the engine's own deviations:", () => {
  it.each([
    ["vLLM's", vllm.json],
    ["llama-server's", llama.json],
  ])('%s document', async (_whose, made) => {
    gateway.engine.script = (response) => sendJson(response, made);
    const document: unknown = await (await transcribe()).json();
    expect(document).toEqual(made);
    expectPublishedShape('CreateTranscriptionResponseJson', document);
  });

  it("vLLM's verbose document", async () => {
    gateway.engine.script = (response) => sendJson(response, vllm.verbose);
    const document: unknown = await (await transcribe({ response_format: 'verbose_json' })).json();
    expect(document).toEqual(vllm.verbose);
    expectPublishedShape('CreateTranscriptionResponseVerboseJson', asPublished.vllm(document));
  });

  it.each([
    ["vLLM's", vllm.stream, false],
    ["llama-server's", llama.stream, true],
  ])('%s stream, every event', async (_whose, made, isPublished) => {
    const frames = framesOf(made);
    gateway.engine.script = async (response) => {
      await sendFrames(response, frames);
      response.end();
    };
    const stream = await (await transcribe({ stream: 'true' })).text();
    expect(stream).toBe(frames.join(''));
    for (const event of eventsOf(stream))
      expect(against('CreateTranscriptionResponseStreamEvent', event) === '').toBe(isPublished);
  });
});

it('speech that is told as events reaches the client as events of the published shape, and its counts are recorded', async () => {
  const frames = framesOf(openAi.speech);
  gateway.engine.script = async (response) => {
    await sendFrames(response, frames);
    response.end();
  };
  const ask = { model: 'chatty', voice: 'alloy', input: 'Hi', stream_format: 'sse' };
  const stream = await (await gateway.post('/v1/audio/speech', ask)).text();
  expect(stream).toBe(frames.join(''));
  for (const event of eventsOf(stream)) expectPublishedShape('CreateSpeechResponseStreamEvent', event);
  expect(gateway.records).toMatchObject([{ prompt_tokens: 9, completion_tokens: 40, estimated: false }]);
});
