import { beforeEach, describe, expect, it } from 'vitest';
import { CortexError } from '../../../contract/errors.ts';
import { type Model, model as modelSchema } from '../../../contract/models.ts';
import type { MeasuredAnswer, MeasuredRequest } from '../gateway/measured-request.ts';
import type { Endpoint } from '../routing/table.ts';
import { checkModel } from './model-check.ts';

const endpoint = { id: 'cortex-model-m', url: 'http://e', apiKey: null, model: 'tiny', ca: null, external: false };
let asked: string[] = [];
/** What the engine answers. */
let engine: (path: string) => MeasuredAnswer;
const engines = {
  endpoints: (modelId: string) => (modelId === 'm' ? [endpoint] : []),
  ask: async (_endpoint: Endpoint, { path }: MeasuredRequest) => {
    asked.push(path);
    return engine(path);
  },
};
beforeEach(() => {
  asked = [];
});

const at = '2026-11-28T00:00:00.000Z';
const model = (changes: object = {}): Model =>
  modelSchema.parse({
    ...{
      id: 'm',
      name: 'Tiny',
      served_name: 'tiny',
      engine: 'llamacpp',
      task: 'generate',
      folder: 'f',
      file: 'f.gguf',
    },
    ...{ options: {}, image: 'i', replicas: 1, replica_states: [], wanted: 'running', state: 'ready', reason: null },
    ...{ hint: null, cause: null, since: at, created_at: at, version: 1 },
    ...changes,
  });
const only = async (changes: object = {}) => (await checkModel(model(changes), engines)).replicas[0];
const answer = (body: string): MeasuredAnswer => ({
  ...{ firstTextMs: 100, durationMs: 300, promptTokens: 9, completionTokens: 3 },
  body: Buffer.from(body),
});
const stream = (...choices: object[]) =>
  answer([...choices, { text: '' }].map((choice) => `data: ${JSON.stringify({ choices: [choice] })}\n\n`).join(''));
const json = (body: object) => answer(JSON.stringify(body));
const refuse = (): never => {
  throw new CortexError('engine_failed', { model: 'tiny', status: 400, detail: 'no chat template' });
};

describe('the check of a model that generates', () => {
  it('brings its words and figures, and what was asked', async () => {
    engine = () => stream({ delta: { content: 'Hel' } }, { delta: { content: 'lo.' } });
    expect(await only()).toMatchObject({
      ...{ ok: true, kind: 'chat', answer: 'Hello.', prompt_tokens: 9, completion_tokens: 3, error: null, note: null },
      ...{ first_token_ms: 100, duration_ms: 300, tokens_per_second: 10 },
      request: { path: '/v1/chat/completions', body: { model: 'tiny', max_tokens: 32 } },
    });
  });

  it('takes the thoughts of one that came no further', async () => {
    engine = () => stream({ delta: { reasoning_content: 'The user wants' } });
    expect(await only()).toMatchObject({ ok: true, answer: 'The user wants' });
  });

  it('asks for a completion where a chat is refused, and says so', async () => {
    engine = (path) => (path.includes('chat') ? refuse() : stream({ text: ' the lazy dog' }));
    const found = await only();
    expect(found).toMatchObject({ ok: true, kind: 'completions', answer: 'the lazy dog' });
    expect(found?.note).toContain('/v1/chat/completions');
    expect(found?.note).toContain('no chat template');
  });

  it('fails with the first refusal where both are refused', async () => {
    engine = refuse;
    expect(await only()).toMatchObject({ ok: false, kind: 'chat', answer: null, error: { code: 'engine_failed' } });
  });

  it('fails where the engine writes nothing', async () => {
    engine = () => stream({ delta: { content: '' } });
    expect(await only()).toMatchObject({ ok: false, answer: null, error: { code: 'engine_answer_empty' } });
  });
});

describe('the check of a model that embeds', () => {
  it('wants numbers, of which one is not zero', async () => {
    engine = () => json({ data: [{ embedding: [0, 0.5] }], usage: { prompt_tokens: 9 } });
    expect(await only({ task: 'embed' })).toMatchObject({ ok: true, answer: 'an embedding of 2 numbers' });
    engine = () => json({ data: [{ embedding: [0, 0] }] });
    expect(await only({ task: 'embed' })).toMatchObject({ ok: false, error: { code: 'engine_answer_empty' } });
  });

  it('asks one that ranks for a ranking', async () => {
    const results = [
      { index: 1, relevance_score: 0.1 },
      { index: 0, relevance_score: 0.9 },
    ];
    engine = (path) => (path === '/v1/rerank' ? json({ results }) : refuse());
    const ranked = {
      ok: true,
      kind: 'rerank',
      answer: '2 scores, the best for “Bread is baked from flour and water.”',
    };
    expect(await only({ task: 'embed', options: { pooling: 'rank' } })).toMatchObject({ ...ranked, note: null });
    expect(asked).toEqual(['/v1/rerank']);
    expect(await only({ task: 'embed' })).toMatchObject(ranked);
  });
});

describe('the check of a model with replicas', () => {
  it('tells of one that is not ready, and is not good', async () => {
    engine = () => stream({ delta: { content: 'Hello.' } });
    const replica_states = [{ replica: 1, state: 'loading', reason: null }];
    const { ok, replicas } = await checkModel(model({ replicas: 2, replica_states }), engines);
    expect(ok).toBe(false);
    expect(replicas.map((one) => [one.replica, one.ok, one.error?.message])).toEqual([
      [0, true, undefined],
      [1, false, "The model 'tiny, replica 1' is loading: only one that is ready can be checked or measured."],
    ]);
  });

  it('is refused where none is ready', async () => {
    await expect(checkModel(model({ id: 'other', state: 'stopped' }), engines)).rejects.toMatchObject({
      code: 'model_not_running',
      hint: expect.stringContaining('Start it'),
    });
  });
});
