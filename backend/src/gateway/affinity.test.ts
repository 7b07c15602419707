import { describe, expect, it } from 'vitest';
import { affinityOf } from './affinity.ts';

const of = (sent: Readonly<Record<string, unknown>>, session: string | null = null) => affinityOf({ sent, session });
const system = { role: 'system', content: 'You are kind.' };
const user = (content: unknown) => ({ role: 'user', content });
const assistant = { role: 'assistant', content: 'Hello' };
const long = 'word '.repeat(1000);

describe('requests that should meet the same cache are', () => {
  it('those of one session, whatever they say', () => {
    expect(of({ messages: [user('a')] }, 's1')).toBe(of({ messages: [user('b')] }, 's1'));
    expect(of({ messages: [user('a')] }, 's1')).not.toBe(of({ messages: [user('a')] }, 's2'));
  });

  it.each([
    ['messages', [system, user('Hi')]],
    ['input', [user([{ type: 'input_text', text: 'Hi' }])]],
  ])('the turns of one conversation (%s), from the first on', (name, first) => {
    const turns = [first, [...first, assistant, user('And now?')], [...first, assistant, user('Why?'), assistant]];
    const [one, ...others] = turns.map((messages) => of({ [name]: messages }));
    expect(one).not.toBeNull();
    expect(others).toEqual([one, one]);
  });

  it.each([
    ['messages', (end: string) => [{ role: 'system', content: long + end }, user(end)]],
    ['prompt', (end: string) => long + end],
    ['prompt', (end: string) => [...Array.from({ length: 1000 }, (_, token) => token), end.length]],
    ['input', (end: string) => long + end],
  ])('those that begin alike for a long way (%s)', (name, make) => {
    expect(of({ [name]: make('a') })).toBe(of({ [name]: make('bb') }));
  });

  it.each([
    ['another question', { messages: [system, user('a')] }, { messages: [system, user('b')] }],
    ['another system', { messages: [system, user('a')] }, { messages: [user('a')] }],
    ['other parts', { messages: [user([{ text: 'ab' }])] }, { messages: [user([{ text: 'a' }, { text: 'b' }])] }],
    ['other tokens', { prompt: [1, 23] }, { prompt: [12, 3] }],
    ['another text', { input: 'a' }, { input: 'b' }],
  ])('not those with %s', (_what, one, other) => {
    expect(of(one)).not.toBe(of(other));
  });

  it('not those that no cache is there for: a form, or what is to be ranked', () => {
    expect([of({}), of({ query: 'a', documents: ['b'] })]).toEqual([null, null]);
  });

  it('found by no more than a beginning, however long the request is', () => {
    let read = 0;
    const content = Array.from({ length: 100_000 }, () => ({
      get text() {
        read += 1;
        return 'abc';
      },
    }));
    of({ messages: [user(content)] });
    expect(read).toBeLessThan(1000);
  });
});
