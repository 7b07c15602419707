import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { token } from '../fixtures/scripted-engine.ts';
import { expectPublishedShape } from './openai-schemas.ts';
import { playRecordings } from './recorded-engine.ts';
import { type ChatKind, chatStreams } from './recordings.ts';
import { ServedGateway } from './served-gateway.ts';

let gateway: ServedGateway;
const path = '/v1/chat/completions';
const chat = { model: 'chatty', messages: [{ role: 'user', content: 'Hi' }] };
const kinds = Object.keys(chatStreams) as ChatKind[];
const dataOf = (text: string) =>
  text
    .split('\n\n')
    .map((event) => event.replace(/^data: /, ''))
    .filter((data) => data !== '' && data !== '[DONE]');
const get = (at: string) => fetch(gateway.url + at, { headers: { authorization: `Bearer ${token('full')}` } });

beforeEach(async () => {
  gateway = new ServedGateway();
  await gateway.start();
  playRecordings(gateway.engine);
});
afterEach(() => gateway.close());

describe("an answer is of the shape that OpenAI's API document describes:", () => {
  it.each(kinds)('chat (%s), as a document and as the chunks of a stream', async (kind) => {
    playRecordings(gateway.engine, kind);
    expectPublishedShape('CreateChatCompletionResponse', await (await gateway.post(path, chat)).json());
    for (const include_usage of [true, false]) {
      const body = { ...chat, stream: true, stream_options: { include_usage } };
      const chunks = dataOf(await (await gateway.post(path, body)).text());
      expect(chunks.length).toBeGreaterThan(2);
      for (const chunk of chunks) expectPublishedShape('CreateChatCompletionStreamResponse', JSON.parse(chunk));
    }
  });

  it('completions, embeddings, the list of models and one model', async () => {
    const completion = await gateway.post('/v1/completions', { model: 'chatty', prompt: 'Once' });
    expectPublishedShape('CreateCompletionResponse', await completion.json());
    const embeddings = await gateway.post('/v1/embeddings', { model: 'vectors', input: 'a' });
    expectPublishedShape('CreateEmbeddingResponse', await embeddings.json());
    expectPublishedShape('ListModelsResponse', await (await get('/v1/models')).json());
    expectPublishedShape('Model', await (await get('/v1/models/chatty')).json());
  });
});
