import { describe, expect, it } from 'vitest';
import { promptOf, wordsFor } from './benchmark-prompt.ts';

describe('the words of a prompt', () => {
  it('are as many as make the tokens, with what the engine puts around them', () => {
    const tokensOf = (words: number) => ({ words, tokens: 9 + words * 3 });
    expect(wordsFor(309, tokensOf(4), tokensOf(16))).toBe(100);
    expect(wordsFor(2, tokensOf(4), tokensOf(16))).toBe(1);
  });

  it('are one for each token where the engine does not count', () => {
    expect(wordsFor(300, { words: 4, tokens: null }, { words: 16, tokens: null })).toBe(300);
    expect(wordsFor(300, { words: 4, tokens: 20 }, { words: 16, tokens: 20 })).toBe(300);
  });

  it('come in another order each time, so that no cache has seen them', () => {
    const prompts = new Set(Array.from({ length: 50 }, () => promptOf(20)));
    expect(prompts.size).toBe(50);
    for (const prompt of prompts) expect(prompt.split(' ')).toHaveLength(20);
  });
});
