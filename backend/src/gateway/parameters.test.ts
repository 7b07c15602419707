import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ParameterRule } from '../../../contract/routing.ts';
import { setMember } from './json-edit.ts';
import { changedByRules, type LengthName } from './parameters.ts';

const ofChat: readonly LengthName[] = ['max_tokens', 'max_completion_tokens'];
const apply = (body: string, rules: Record<string, ParameterRule>, lengths = ofChat) => {
  const sent = new Map(Object.entries(JSON.parse(body) as Record<string, unknown>));
  let bytes: Buffer = Buffer.from(body);
  for (const [name, value] of changedByRules(sent, rules, 'chatty', lengths))
    bytes = setMember(bytes, name, value, sent.has(name));
  return bytes.toString();
};

describe('a rule', () => {
  it.each<[string, string, ParameterRule, string]>([
    ['sets a default that is not there', '{"a":1}', { default: 5 }, '{"x":5,"a":1}'],
    ['leaves what the client has set', '{"x":2}', { default: 5 }, '{"x":2}'],
    ['takes null for not set', '{"x":null}', { default: 5 }, '{"x":5}'],
    ['does not take false or 0 for not set', '{"x":0}', { default: 5 }, '{"x":0}'],
    ['forces a value', '{"x":2}', { force: 5 }, '{"x":5}'],
    ['forces null', '{"x":2}', { force: null }, '{"x":null}'],
    ['forces false', '{"x":true}', { force: false }, '{"x":false}'],
    ['lowers what is too large', '{"x":7}', { max: 5 }, '{"x":5}'],
    ['lowers what is larger than any number', '{"x":1e999}', { max: 5 }, '{"x":5}'],
    ['lowers a number that is written as a text, which engines read as one', '{"x":"7"}', { max: 5 }, '{"x":5}'],
    ['lowers a text with the underscores that Python takes in numbers', '{"x":"1_000"}', { max: 5 }, '{"x":5}'],
    ['leaves a text that is no number', '{"x":"high"}', { max: 5 }, '{"x":"high"}'],
    ['leaves what is small enough', '{"x":4.5}', { max: 5 }, '{"x":4.5}'],
    ['lowers a default that is too large', '{}', { default: 7, max: 5 }, '{"x":5}'],
    ['changes the one of several that engines read', '{"x":1,"x":9}', { max: 5 }, '{"x":1,"x":5}'],
    ['sees through escapes in the name', '{"\\u0078":9}', { max: 5 }, '{"\\u0078":5}'],
    ['does not touch what is deeper', '{"y":{"x":9}}', { max: 5 }, '{"y":{"x":9}}'],
    ['lets null pass where the parameter is forbidden', '{"x":null}', { forbid: true }, '{"x":null}'],
  ])('%s', (_what, body, rule, wanted) => {
    expect(apply(body, { x: rule })).toBe(wanted);
  });

  it.each<[string, string, ParameterRule, string]>([
    ['is lowered under its new name', '{"max_completion_tokens":9}', { max: 5 }, '{"max_completion_tokens":5}'],
    ["is lowered under llama.cpp's", '{"n_predict":9,"max_tokens":3}', { max: 5 }, '{"n_predict":5,"max_tokens":3}'],
    ['that is none at all is lowered', '{"max_tokens":-1}', { max: 5 }, '{"max_tokens":5}'],
    ['is not set under a second name', '{"max_completion_tokens":3}', { default: 4 }, '{"max_completion_tokens":3}'],
    ['is set where all its names are null', '{"n_predict":null}', { default: 4 }, '{"max_tokens":4,"n_predict":null}'],
    ['is forced under every name', '{"n_predict":1,"max_tokens":2}', { force: 3 }, '{"n_predict":3,"max_tokens":3}'],
    ['is forbidden under one name alone', '{"n_predict":1}', { forbid: true }, '{"n_predict":1}'],
  ])('for the length of the answer: it %s', (_what, body, rule, wanted) => {
    expect(apply(body, { max_tokens: rule })).toBe(wanted);
  });

  it.each<[string, readonly LengthName[], string, ParameterRule, string]>([
    ['sets it as the API calls it', ['max_output_tokens'], '{}', { default: 4 }, '{"max_output_tokens":4}'],
    ['sets it nowhere where nothing has a length', [], '{}', { default: 4, max: 5 }, '{}'],
    ['lowers it there all the same', [], '{"max_tokens":9}', { max: 5 }, '{"max_tokens":5}'],
    [
      'holds where the client has a name that the API does not read',
      ['max_output_tokens'],
      '{"max_tokens":9}',
      { default: 4, max: 5 },
      '{"max_output_tokens":5,"max_tokens":5}',
    ],
    [
      "means what the client has asked for under llama.cpp's name",
      ofChat,
      '{"n_predict":3}',
      { default: 4 },
      '{"max_tokens":3,"n_predict":3}',
    ],
  ])('for the length of the answer: %s', (_what, lengths, body, rule, wanted) => {
    expect(apply(body, { max_tokens: rule }, lengths)).toBe(wanted);
  });

  it('for the length, beside another one for it: the smaller maximum holds', () => {
    const rules = { max_tokens: { max: 5 }, max_completion_tokens: { max: 9 } };
    expect(apply('{"max_completion_tokens":20}', rules)).toBe('{"max_completion_tokens":5}');
  });

  it.each(['1', 'false', '""', '{}'])('forbids %s', (value) => {
    expect(() => apply(`{"x":${value}}`, { x: { forbid: true } })).toThrowError(
      expect.objectContaining({ code: 'parameter_forbidden', param: 'x' }),
    );
  });

  const forbidden: ParameterRule = { forbid: true };
  it('named like what every object has sees only what was sent', () => {
    expect(apply('{}', { constructor: forbidden, toString: { max: 1 } })).toBe('{}');
  });
});

it('whatever is sent, no number above the maximum reaches the engine, and all else does', () => {
  const body = fc.dictionary(fc.constantFrom('x', 'y', 'n'), fc.oneof(fc.double(), fc.jsonValue()));
  fc.assert(
    fc.property(body, fc.integer(), (sent, max) => {
      const text = JSON.stringify(sent);
      const { x, ...others } = JSON.parse(apply(text, { x: { max } })) as Record<string, unknown>;
      expect(typeof x === 'number' && x > max).toBe(false);
      const { x: _x, ...before } = JSON.parse(text) as Record<string, unknown>;
      expect(others).toEqual(before);
    }),
  );
});
