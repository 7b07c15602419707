import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { servingSettings } from '../../../contract/routing.ts';
import { type RoutedModel, RoutingTable } from '../routing/table.ts';
import { demandScope, modelsFor } from './access.ts';
import type { Caller } from './credentials.ts';
import { enginePaths } from './surface.ts';

const path = '/v1/chat/completions';
const caller: Caller = { keyId: 'k', userId: 'u', organizationId: 'o', scopes: ['chat'], models: null };
const model = (servedName: string, changes: Partial<RoutedModel> = {}): RoutedModel => ({
  modelId: `id-${servedName}`,
  servedName,
  task: 'generate',
  state: 'ready',
  createdAtMs: 0,
  endpoints: [{ id: 'r', url: 'http://127.0.0.1:1', apiKey: null, model: servedName, ca: null, external: false }],
  ...changes,
});

let table: RoutingTable;
beforeEach(() => {
  table = new RoutingTable();
  table.replaceModels([
    model('a'),
    model('b'),
    model('c'),
    model('loading', { state: 'loading', endpoints: [] }),
    model('vectors', { task: 'embed' }),
  ]);
});

const chatPath = enginePaths[path];
const namesFor = (name: string, by = caller) => {
  if (chatPath === undefined) throw new Error('no such path');
  return modelsFor(by, name, path, chatPath, table).map(({ servedName }) => servedName);
};
const aliasOf = (...weights: [string, number][]) =>
  table.replace({
    aliases: [{ name: 'alias', targets: weights.map(([served_name, weight]) => ({ served_name, weight })) }],
  });
const fallbacks = (name: string, ...others: string[]) =>
  table.replace({ serving: { [name]: servingSettings.parse({ fallbacks: others }) } });
const refusal = (code: string) => expect.objectContaining({ code });

describe('an alias', () => {
  it('shares the requests by weight', () => {
    aliasOf(['a', 3], ['b', 1]);
    const draws = Array.from({ length: 4000 }, () => namesFor('alias')[0]);
    const share = draws.filter((name) => name === 'a').length / draws.length;
    // Ten standard deviations.
    expect(Math.abs(share - 0.75)).toBeLessThan(0.07);
  });

  it('of weight 0 answers only when no other can', () => {
    aliasOf(['a', 0], ['b', 1], ['c', 1]);
    for (let n = 0; n < 200; n += 1) expect(namesFor('alias').at(-1)).toBe('a');
    aliasOf(['a', 0], ['loading', 1]);
    expect(namesFor('alias')).toEqual(['a']);
  });

  it('gives each target once, whatever the weights', () => {
    const weights = fc.tuple(fc.nat(1000), fc.nat(1000), fc.nat(1000));
    fc.assert(
      fc.property(weights, ([a, b, c]) => {
        aliasOf(['a', a], ['b', b], ['c', c]);
        expect(namesFor('alias').sort()).toEqual(['a', 'b', 'c']);
      }),
    );
  });

  it('leaves out targets that are not there', () => {
    aliasOf(['gone', 1000], ['b', 1]);
    expect(namesFor('alias')).toEqual(['b']);
    aliasOf(['gone', 1]);
    expect(() => namesFor('alias')).toThrowError(refusal('model_not_found'));
  });

  it('whose targets have several tasks is asked for each, whatever is drawn', () => {
    aliasOf(['vectors', 1], ['a', 1]);
    for (let n = 0; n < 50; n += 1) expect(namesFor('alias')).toEqual(['a']);
    aliasOf(['vectors', 1000], ['loading', 1]);
    for (let n = 0; n < 50; n += 1) expect(() => namesFor('alias')).toThrowError(refusal('model_not_ready'));
  });

  it('is a name of its own to a key: who may use it may use what is behind, and the reverse is not so', () => {
    aliasOf(['a', 1]);
    expect(namesFor('alias', { ...caller, models: ['alias'] })).toEqual(['a']);
    expect(() => namesFor('a', { ...caller, models: ['alias'] })).toThrowError(refusal('model_not_allowed'));
    expect(() => namesFor('alias', { ...caller, models: ['a'] })).toThrowError(refusal('model_not_allowed'));
  });
});

describe('fallbacks', () => {
  it('follow in their order, once each', () => {
    fallbacks('a', 'c', 'a', 'b', 'gone', 'loading');
    expect(namesFor('a')).toEqual(['a', 'c', 'b']);
  });

  it('answer for a model that is not ready, also to a key that may not use them by name', () => {
    fallbacks('loading', 'b');
    expect(namesFor('loading', { ...caller, models: ['loading'] })).toEqual(['b']);
  });

  it('of another task are left out', () => {
    fallbacks('loading', 'vectors');
    expect(() => namesFor('loading')).toThrowError(refusal('model_not_ready'));
  });

  it('have none of their own', () => {
    table.replace({
      serving: {
        a: servingSettings.parse({ fallbacks: ['b'] }),
        b: servingSettings.parse({ fallbacks: ['c'] }),
      },
    });
    expect(namesFor('a')).toEqual(['a', 'b']);
  });
});

describe('a request is refused', () => {
  it.each([
    ['nobody', null, 'model_not_found'],
    ['__proto__', null, 'model_not_found'],
    ['vectors', null, 'wrong_task'],
    ['loading', null, 'model_not_ready'],
    ['a', [], 'model_not_allowed'],
    ['a', ['b', 'A'], 'model_not_allowed'],
  ])('for %s, by a key for %j: %s', (name, models, code) => {
    expect(() => namesFor(name, { ...caller, models })).toThrowError(expect.objectContaining({ code, param: 'model' }));
  });

  it('without the scope', () => {
    expect(() => demandScope(caller, 'embeddings')).toThrowError(refusal('insufficient_scope'));
    expect(() => demandScope({ ...caller, scopes: [] }, 'chat')).toThrowError(refusal('insufficient_scope'));
    expect(() => demandScope(caller, 'chat')).not.toThrow();
  });
});
