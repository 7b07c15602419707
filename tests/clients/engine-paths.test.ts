import OpenAI, { toFile } from 'openai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ParameterRule, servingSettings } from '../../contract/routing.ts';
import { engineKey, sendFrames, sendJson, token } from '../fixtures/scripted-engine.ts';
import { ServedGateway } from './served-gateway.ts';

let gateway: ServedGateway;
const client = () => new OpenAI({ apiKey: token('full'), baseURL: `${gateway.url}/v1`, maxRetries: 0, timeout: 5000 });

beforeEach(async () => {
  gateway = new ServedGateway();
  await gateway.start();
});
afterEach(() => gateway.close());

describe('a path that engines answer', () => {
  it.each(['/v1/rerank', '/v1/score', '/v1/tokenize', '/v1/detokenize', '/v1/responses'])(
    '%s looks for the model that the body names',
    async (path) => {
      const answer = await gateway.post(path, { model: 'nobody' });
      expect([answer.status, await answer.json()]).toMatchObject([404, { error: { code: 'model_not_found' } }]);
    },
  );

  it.each([
    ['/v1/tokenize', { model: 'chatty', prompt: 'Hi' }, { count: 1, max_model_len: 4096, tokens: [17] }],
    ['/v1/detokenize', { model: 'chatty', tokens: [17] }, { prompt: 'Hi' }],
  ])('%s goes to the path that engines have for it, and its answer back', async (path, body, made) => {
    gateway.engine.script = (response) => sendJson(response, made);
    const answer = await gateway.post(path, body);
    expect([answer.status, await answer.json()]).toEqual([200, made]);
    const seen = gateway.engine.only();
    expect([seen.path, seen.body]).toEqual([path.slice('/v1'.length), JSON.stringify(body)]);
    expect(seen.headers.authorization).toBe(`Bearer ${engineKey}`);
  });
});

describe('what an answer used is recorded', () => {
  it.each([
    ['/v1/rerank', { total_tokens: 56 }, 56],
    ['/v1/rerank', { prompt_tokens: 50, total_tokens: 56 }, 50],
    ['/v1/score', { prompt_tokens: 12, completion_tokens: 0, total_tokens: 12 }, 12],
  ])('of %s as %j', async (path, usage, promptTokens) => {
    gateway.engine.script = (response) => sendJson(response, { results: [], usage });
    const answer = await gateway.post(path, { model: 'chatty', query: 'a', documents: ['b'] });
    expect(answer.status).toBe(200);
    await answer.text();
    expect(gateway.records).toMatchObject([
      { prompt_tokens: promptTokens, completion_tokens: 0, estimated: false, outcome: 'ok' },
    ]);
  });
});

describe("OpenAI's client on audio", () => {
  const file = () => toFile(Buffer.from([0x52, 0x0d, 0x0a, 0x2d, 0x2d, 0xff]), 'a.wav');

  it('gets a transcription, and the engine its form under its own name for the model', async () => {
    gateway.nameAtEngine('chatty', 'whisper-large');
    gateway.engine.script = (response) =>
      sendJson(response, { text: 'Héllo', usage: { type: 'tokens', input_tokens: 14, output_tokens: 4 } });
    const got = await client().audio.transcriptions.create({ model: 'chatty', file: await file(), language: 'de' });
    expect(got.text).toBe('Héllo');
    const { path, headers, body } = gateway.engine.only();
    expect(path).toBe('/v1/audio/transcriptions');
    expect(headers['content-type']).toMatch(/^multipart\/form-data/);
    expect(body).toMatch(/name="model"\r\n\r\nwhisper-large\r\n/);
    expect(body).toMatch(/name="language"\r\n\r\nde\r\n/);
    expect(gateway.records).toMatchObject([{ prompt_tokens: 14, completion_tokens: 4, estimated: false }]);
  });

  it('reads the events of a transcription', async () => {
    const events = [
      { type: 'transcript.text.delta', delta: 'Hé' },
      { type: 'transcript.text.done', text: 'Hé', usage: { type: 'tokens', input_tokens: 9, output_tokens: 2 } },
    ];
    gateway.engine.script = async (response) => {
      await sendFrames(
        response,
        events.map((event) => `data: ${JSON.stringify(event)}\n\n`),
      );
      response.end();
    };
    const seen = [];
    const asked = { model: 'chatty', file: await file(), stream: true } as const;
    for await (const event of await client().audio.transcriptions.create(asked)) seen.push(event);
    expect(seen).toEqual(events);
    expect(gateway.records).toMatchObject([{ streamed: true, prompt_tokens: 9, completion_tokens: 2 }]);
  });

  it.each<[string, ParameterRule, string | null, string | null]>([
    ['a default', { default: 'fr' }, null, 'fr'],
    ['a default that it overrules', { default: 'fr' }, 'de', 'de'],
    ['a value that is forced', { force: 'fr' }, 'de', 'fr'],
    ['a maximum', { max: 5 }, '7', '5'],
  ])('is held to the rules for parameters in forms too: %s', async (_what, rule, sent, wanted) => {
    gateway.table.replace({ serving: { chatty: servingSettings.parse({ parameters: { language: rule } }) } });
    gateway.engine.script = (response) => sendJson(response, { text: '' });
    const language = sent === null ? {} : { language: sent };
    await client().audio.transcriptions.create({ model: 'chatty', file: await file(), ...language });
    const got = /name="language"\r\n\r\n(.*?)\r\n/.exec(gateway.engine.only().body)?.[1] ?? null;
    expect(got).toBe(wanted);
  });

  it('is refused a parameter that is forbidden, and a model that stands there twice', async () => {
    const parameters = { language: { forbid: true } };
    gateway.table.replace({ serving: { chatty: servingSettings.parse({ parameters }) } });
    const asked = client().audio.transcriptions.create({ model: 'chatty', file: await file(), language: 'de' });
    await expect(asked).rejects.toMatchObject({ status: 400, code: 'parameter_forbidden', param: 'language' });
    const form = new FormData();
    for (const model of ['chatty', 'other']) form.append('model', model);
    const headers = { authorization: `Bearer ${token('full')}` };
    const twice = await fetch(`${gateway.url}/v1/audio/transcriptions`, { method: 'POST', headers, body: form });
    expect([twice.status, await twice.json()]).toMatchObject([400, { error: { param: 'model' } }]);
    expect(gateway.engine.seen).toEqual([]);
  });

  it('gets speech as the bytes that the engine made', async () => {
    const sound = Buffer.from(Array.from({ length: 100_000 }, (_, at) => (at * 7) % 256));
    gateway.engine.script = (response) => void response.writeHead(200, { 'content-type': 'audio/wav' }).end(sound);
    const answer = await client().audio.speech.create({ model: 'chatty', voice: 'alloy', input: 'Hi' });
    expect(answer.headers.get('content-type')).toBe('audio/wav');
    expect(Buffer.from(await answer.arrayBuffer()).equals(sound)).toBe(true);
  });

  it('learns that the model is not there from the form that it sent', async () => {
    const file = await toFile(Buffer.from('RIFF'), 'a.wav');
    const asked = client().audio.transcriptions.create({ model: 'nobody', file });
    await expect(asked).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
  });

  it('learns that the voice is not there', async () => {
    const asked = client().audio.speech.create({ model: 'nobody', voice: 'alloy', input: 'Hi' });
    await expect(asked).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
  });
});
