import OpenAI, { toFile } from 'openai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { engineKey, sendJson, token } from '../fixtures/scripted-engine.ts';
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

describe("OpenAI's client on audio", () => {
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
