import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { usageInDocument, usageOf } from './usage-in-json.ts';

const openai = { prompt_tokens: 24, completion_tokens: 80, total_tokens: 104 };
const told = { prompt: 24, completion: 80, cached: undefined };

describe('the usage in a document', () => {
  it.each<[string, unknown]>([
    ['at its end', { choices: [{ message: { content: 'a' } }], usage: openai }],
    ['before other members', { choices: [], usage: openai, timings: { n: [1, 2] }, prompt_logprobs: null }],
    ['at its start', { usage: openai, data: [{ embedding: Array.from({ length: 5000 }, (_, at) => at / 7) }] }],
    ['inside what carries it', { type: 'response.completed', response: { output: [], usage: openai } }],
    ['beside another member of that name deeper down', { usage: openai, tools: [{ properties: { usage: { a: 1 } } }] }],
    ['where a text speaks of it', { usage: openai, text: 'the "usage": {"prompt_tokens": 7}' }],
    ['where a text ends with its name', { usage: openai, text: 'said "usage' }],
    ['where a key ends with its name', { usage: openai, 'x"usage': { prompt_tokens: 7 } }],
  ])('is found %s', (_where, document) => {
    expect(usageInDocument(JSON.stringify(document))).toEqual(told);
    expect(usageInDocument(JSON.stringify(document, null, 2))).toEqual(told);
  });

  it.each<[string, string]>([
    ['no JSON', '{"usage": {"prompt_tokens": 24'],
    ['no object', '[{"usage": {"prompt_tokens": 24}}]'],
    ['usage only of a part', '{"parts": [{"usage": {"prompt_tokens": 24, "completion_tokens": 80}}]}'],
    ['usage that is no object', '{"usage": "24"}'],
    ['a negative count', '{"usage": {"prompt_tokens": -1, "completion_tokens": 80}}'],
    ['a count that is a text', '{"usage": {"prompt_tokens": "24", "completion_tokens": 80}}'],
  ])('is not made up where there is %s', (_what, json) => {
    expect(usageInDocument(json)).toBeUndefined();
  });

  it('is what parsing the whole would find, whatever stands around it', () => {
    const usage = fc.record(
      {
        prompt_tokens: fc.nat(),
        completion_tokens: fc.nat(),
        input_tokens: fc.nat(),
        prompt_tokens_details: fc.record({ cached_tokens: fc.nat() }, { requiredKeys: [] }),
      },
      { requiredKeys: [] },
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom<unknown>(null, 1, 'usage', '"usage', '"usage":{', '\\\\', '\\"usage"', 'é'),
        usage,
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom('usage', 'message', 'response', 'a"usage', 'b\\'), tie('tree'), { maxKeys: 4 }),
      ),
    }));
    fc.assert(
      fc.property(tree, (document) => {
        expect(usageInDocument(JSON.stringify(document))).toEqual(usageOf(document));
      }),
      { numRuns: 5000 },
    );
  });
});
