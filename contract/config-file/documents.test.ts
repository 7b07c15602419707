import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { type Model, newModel } from '../models.ts';
import { configDocument } from './documents.ts';
import { modelText, readDocuments } from './text.ts';

const example = readFileSync(new URL('../../docs/examples/models.yaml', import.meta.url), 'utf8');

it('the example is what it says it is', () => {
  const { documents, faults } = readDocuments(example);
  expect(faults).toEqual([]);
  const parsed = documents.map(({ value }) => configDocument.parse(value));
  expect(parsed.map(({ kind, engine }) => `${kind} ${engine}`)).toEqual([
    'Recipe vllm',
    'Model vllm',
    'Model llamacpp',
  ]);
  expect(documents.map(({ line }) => line)).toEqual([2, 12, 26]);
});

it('a model written as a document reads as the same model', () => {
  const model = newModel.parse({
    ...{ engine: 'llamacpp', name: 'Tiny: 1', served_name: 'tiny', folder: 'a/b', file: 'x.gguf' },
    options: {
      threads: 2,
      tensor_split: [1, 2],
      chat_template_kwargs: { a: [null, 'yes'] },
      extra_args: ['--x', 'no'],
    },
  });
  const at = '2026-01-01T00:00:00.000Z';
  const shown: Model = {
    ...model,
    ...{ id: 'i', image: 'x', wanted: 'stopped', state: 'stopped', reason: null, hint: null, cause: null, since: at },
    ...{ created_at: at, version: 3, replica_states: [] },
  };
  const text = modelText(shown, { idle_seconds: null, priority: 2, group: 'big' });
  const [document] = readDocuments(text).documents;
  expect(configDocument.safeParse(document?.value).error).toBeUndefined();
  const {
    apiVersion: _a,
    kind: _k,
    wanted: _w,
    on_demand: onDemand,
    ...fields
  } = Object(document?.value) as Record<string, unknown>;
  expect(newModel.parse(fields)).toEqual(model);
  expect(onDemand).toEqual({ idle_seconds: null, priority: 2, group: 'big' });
});

it.each([
  ['a kind that is not there', 'kind: Alias\nname: a'],
  [
    'an option that the engine does not have',
    'kind: Model\nserved_name: a\nengine: vllm\noptions: { context_size: 1 }',
  ],
  ['a field that is misspelt', 'kind: Model\nserved_name: a\nengine: vllm\nserved: b'],
  ['another version of the format', 'apiVersion: cortex/v9\nkind: Model\nserved_name: a\nengine: vllm'],
  ['a number where a name belongs', 'kind: Model\nserved_name: 12\nengine: vllm'],
])('%s is refused', (_what, text) => {
  const [document] = readDocuments(text).documents;
  expect(configDocument.safeParse(document?.value).success).toBe(false);
});

it.each([
  ['a key that stands twice', 'kind: Model\nkind: Model', 2],
  ['a tag that nobody knows', 'kind: Model\nname: !exec rm', 2],
  ['a bracket that stays open', 'kind: Model\n---\na: [1', 3],
])('%s is a fault with its line', (_what, text, line) => {
  expect(readDocuments(text)).toMatchObject({ documents: [], faults: [{ line }] });
});

it('has a JSON Schema that tells every option', () => {
  const schema = JSON.stringify(z.toJSONSchema(configDocument, { io: 'input', unrepresentable: 'any' }));
  for (const word of ['max_model_len', 'context_size', 'from_env', 'wanted']) expect(schema).toContain(`"${word}"`);
});
