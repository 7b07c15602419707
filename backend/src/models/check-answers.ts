import { z } from 'zod';
import type { CheckKind } from '../../../contract/model-check.ts';

interface CheckQuestion {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** What an answer has to bring; in words, for who misses it. */
  readonly wanted: string;
  /** The answer in words; null where it brings nothing. */
  readonly read: (body: string) => string | null;
}

const streamed = { max_tokens: 32, temperature: 0, stream: true, stream_options: { include_usage: true } };
const text = z.string().nullish();
const chunk = z.object({
  choices: z
    .array(
      z.object({
        text,
        delta: z.object({ content: text, reasoning_content: text, reasoning: text }).optional(),
      }),
    )
    .default([]),
});
const embeddings = z.object({ data: z.array(z.object({ embedding: z.array(z.number()) })).min(1) });
const ranking = z.object({
  results: z.array(z.object({ index: z.number().int(), relevance_score: z.number() })).min(1),
});

const documents = ['Bread is baked from flour and water.', 'The moon goes round the earth.', 'Trains run on rails.'];

/** The smallest request of each kind that a model can't answer by chance. */
export const checkQuestions: Readonly<Record<CheckKind, CheckQuestion>> = {
  chat: {
    path: '/v1/chat/completions',
    body: { messages: [{ role: 'user', content: 'Say hello in one short sentence.' }], ...streamed },
    wanted: 'any text',
    read: writtenText,
  },
  completions: {
    path: '/v1/completions',
    body: { prompt: 'The quick brown fox jumps over', ...streamed },
    wanted: 'any text',
    read: writtenText,
  },
  embeddings: {
    path: '/v1/embeddings',
    body: { input: 'The quick brown fox jumps over the lazy dog.' },
    wanted: 'an embedding of numbers that are not all zero',
    read: (body) => {
      const vector = parse(body, embeddings)?.data[0]?.embedding ?? [];
      return vector.some((value) => value !== 0) ? `an embedding of ${vector.length} numbers` : null;
    },
  },
  rerank: {
    path: '/v1/rerank',
    body: { query: 'How is bread made?', documents },
    wanted: 'scores',
    read: (body) => {
      const results = parse(body, ranking)?.results ?? [];
      const best = [...results].sort((a, b) => b.relevance_score - a.relevance_score)[0];
      return best === undefined ? null : `${results.length} scores, the best for “${documents[best.index] ?? ''}”`;
    },
  },
};

/** What a stream brought, a reasoning model's thoughts where it came no further. */
function writtenText(stream: string): string | null {
  let answer = '';
  let thoughts = '';
  for (const line of stream.split(/\r?\n/)) {
    const choice = line.startsWith('data:') ? parse(line.slice(5), chunk)?.choices[0] : undefined;
    answer += choice?.text ?? choice?.delta?.content ?? '';
    thoughts += choice?.delta?.reasoning_content ?? choice?.delta?.reasoning ?? '';
  }
  return [answer, thoughts].map((one) => one.trim()).find((one) => one !== '') ?? null;
}

function parse<T extends z.ZodType>(json: string, schema: T): z.output<T> | undefined {
  try {
    return schema.safeParse(JSON.parse(json)).data;
  } catch {
    return undefined;
  }
}
