import { describe, expect, it } from 'vitest';
import { quantile, type Sample, stepFigures } from './benchmark-figures.ts';

const sample = (changes: Partial<Sample> = {}): Sample => ({
  firstTextMs: 100,
  durationMs: 1100,
  promptTokens: 50,
  completionTokens: 11,
  ...changes,
});
const none = { count: 0, first: null };

describe('a quantile', () => {
  it('lies between two values in proportion, and is nothing of nothing', () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
    expect(quantile([10], 0.95)).toBe(10);
    expect(quantile([0, 100], 0.95)).toBeCloseTo(95);
    expect(quantile([], 0.5)).toBeNull();
  });
});

describe('the figures of a step', () => {
  it('are rates over its whole time, and times of single requests', () => {
    const samples = [sample(), sample({ firstTextMs: 300, durationMs: 2300 })];
    expect(stepFigures(2, 4, samples, none, true)).toEqual({
      ...{ concurrency: 2, seconds: 4, requests: 2, failures: 0, error: null },
      ...{ prompt_tokens: 100, output_tokens: 22 },
      ...{ requests_per_second: 0.5, prompt_tokens_per_second: 25, output_tokens_per_second: 5.5 },
      ...{ first_token_p50_ms: 200, first_token_p95_ms: 290 },
      ...{ per_token_p50_ms: 150, per_token_p95_ms: 195 },
      ...{ duration_p50_ms: 1700, duration_p95_ms: 2240 },
    });
  });

  it('say nothing of tokens where one answer was not counted', () => {
    const figures = stepFigures(1, 1, [sample(), sample({ completionTokens: null })], none, true);
    expect(figures).toMatchObject({ output_tokens: null, output_tokens_per_second: null, prompt_tokens: 100 });
  });

  it('of answers that are no text have no output', () => {
    const figures = stepFigures(1, 2, [sample({ firstTextMs: null, completionTokens: 0 })], none, false);
    expect(figures).toMatchObject({
      output_tokens_per_second: null,
      prompt_tokens_per_second: 25,
      per_token_p50_ms: null,
    });
  });

  it('of failures alone are only their count and the first cause', () => {
    const first = { code: 'engine_failed', message: 'no', hint: 'try' };
    expect(stepFigures(4, 3, [], { count: 12, first }, true)).toMatchObject({
      ...{ requests: 0, failures: 12, error: first, requests_per_second: 0 },
      ...{ duration_p50_ms: null, first_token_p95_ms: null },
    });
  });
});
