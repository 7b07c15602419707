import { describe, expect, it } from 'vitest';
import { newRow, rowsOf, rulesOf } from './rule-rows.ts';

describe('parameter rules', () => {
  it('come back from the form as they were', () => {
    const rules = {
      temperature: { default: 0.7, max: 1 },
      user: { force: 'nobody' },
      seed: { default: '42' },
      stop: { force: ['a', 'b'] },
      store: { force: false },
      note: { default: 'null' },
      logprobs: { forbid: true as const },
    };
    expect(rulesOf(rowsOf(rules))).toEqual(rules);
  });

  it('are read as JSON, and as text where that is none', () => {
    expect(rulesOf([newRow('a', 'force', '12'), newRow('b', 'force', 'low'), newRow(' c ', 'force', '"12"')])).toEqual({
      a: { force: 12 },
      b: { force: 'low' },
      c: { force: '12' },
    });
  });
});
