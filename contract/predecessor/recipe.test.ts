import fc from 'fast-check';
import { expect, it } from 'vitest';
import { readRecipes } from '../config-file/recipes.ts';
import { recipeText } from '../config-file/text.ts';
import { knownFields } from './fields.ts';
import { readPredecessorRecipe } from './recipe.ts';

const base = {
  name: 'Old',
  model_name: 'Llama',
  served_model_name: 'llama',
  engine_type: 'llamacpp',
  task: 'generate',
};
const outcomes = (fields: object) =>
  Object.fromEntries(readPredecessorRecipe({ ...base, ...fields }).notes.map((one) => [one.field, one]));
const contentOf = (fields: object) => readPredecessorRecipe({ ...base, ...fields }).content;

it('takes the fields of a model of llama.cpp under their names here', () => {
  const { name, content } = readPredecessorRecipe({
    ...base,
    ...{ local_path: 'llama/model-Q4.gguf', ngl: 99, parallel_slots: 4, tensor_split: '3,1', flash_attention: true },
    ...{ skip_warmup: true, jinja_enabled: false, numa_policy: 'isolate', draft_model_path: 'llama/draft.gguf' },
  });
  expect(name).toBe('Old');
  expect(content).toMatchObject({
    ...{ engine: 'llamacpp', task: 'generate', model_name: 'Llama', served_name: 'llama' },
    ...{ folder: 'llama', file: 'model-Q4.gguf' },
    options: {
      ...{ gpu_layers: 99, parallel: 4, tensor_split: [3, 1], flash_attention: 'on', warmup: false, jinja: false },
      ...{ numa: 'isolate', draft_model: 'draft.gguf' },
    },
  });
});

it('takes the fields of a model of vLLM, also where they are in an object of their own', () => {
  const config = {
    tp_size: 2,
    swap_space_gb: 4,
    cuda_graph_sizes: '1,2,4',
    disable_log_requests: true,
    debug_logging: true,
  };
  const read = readPredecessorRecipe({ ...base, engine_type: 'vllm', local_path: 'llama', config });
  expect(read.content).toMatchObject({
    ...{ folder: 'llama', file: null },
    options: {
      ...{ tensor_parallel_size: 2, swap_space: 4, cudagraph_capture_sizes: [1, 2, 4], log_requests: false },
      extra_env: { VLLM_LOGGING_LEVEL: 'DEBUG' },
    },
  });
});

it.each([
  ['mlock alone', { mlock: true, no_mmap: false }, 'mmap+mlock'],
  ['no_mmap alone', { mlock: false, no_mmap: true }, 'none'],
  ['both', { mlock: true, no_mmap: true }, 'mlock'],
  ['neither', { mlock: false, no_mmap: false }, null],
])('turns %s into the one option that there is now', (_what, fields, mode) => {
  expect(contentOf(fields)?.options).toMatchObject({ load_mode: mode });
});

it('turns further arguments that have a field into it, drifted ones too, and refuses what is not the operator’s', () => {
  const args = [
    { flag: '--draft', type: 'int', value: 8 },
    { flag: '-np', type: 'int', value: '2' },
    { flag: '--no-mmap', type: 'bool', value: true },
    { flag: '--yarn-ext-factor', type: 'float', value: '0.5' },
    { flag: '--port', type: 'int', value: 9000 },
  ];
  const fields = { engine_startup_args_json: JSON.stringify(args) };
  expect(contentOf(fields)?.options).toMatchObject({
    ...{ draft_max: 8, parallel: 2, load_mode: 'none', extra_args: ['--yarn-ext-factor', '0.5'] },
  });
  expect(outcomes(fields)).toMatchObject({
    'engine_startup_args_json --draft': {
      outcome: 'taken',
      to: 'options.draft_max',
      message: 'It is --draft-max now.',
    },
    'engine_startup_args_json --port': {
      outcome: 'refused',
      message: expect.stringContaining('where the engine listens'),
    },
  });
});

it('leaves secrets out and names them', () => {
  const fields = {
    hf_token: 'hush-1',
    engine_startup_args_json: '[{"flag":"--x-token","value":"hush-3"}]',
    engine_startup_env_json:
      '[{"key":"MY_API_KEY","value":"hush-2"},{"key":"COLOUR","value":"green"},{"key":"HF_HOME","value":"/x"}]',
  };
  const read = readPredecessorRecipe({ ...base, ...fields });
  expect(JSON.stringify(read)).not.toContain('hush');
  expect(read.content?.options.extra_env).toEqual({ COLOUR: 'green' });
  expect(outcomes(fields)).toMatchObject({
    hf_token: { outcome: 'left_out' },
    'engine_startup_args_json --x-token': { outcome: 'left_out' },
    'engine_startup_env_json MY_API_KEY': { outcome: 'left_out' },
    'engine_startup_env_json HF_HOME': { outcome: 'refused' },
  });
});

it('says of each field that is set what became of it', () => {
  for (const engine of ['llamacpp', 'vllm'] as const) {
    const set = Object.fromEntries(knownFields(engine).map((field) => [field, '1']));
    const named = new Set(
      readPredecessorRecipe({ ...set, ...base, engine_type: engine, new_one: 1 }).notes.map((n) => n.field),
    );
    for (const field of [...knownFields(engine), 'new_one']) expect(named, `${engine} ${field}`).toContain(field);
  }
});

it.each([
  ['a value that the option has not', { cache_type_k: 'q9' }, 'cache_type_k', 'refused'],
  ['a number out of range', { threads: -4 }, 'threads', 'refused'],
  ['the other engine’s field', { tp_size: 2 }, 'tp_size', 'left_out'],
  ['a field that nobody knows', { colour: 'red' }, 'colour', 'left_out'],
  ['a flag that is gone', { system_prompt: 'Be kind.' }, 'system_prompt', 'refused'],
  ['an absolute path', { local_path: '/data/llama.gguf' }, 'local_path', 'left_out'],
  ['a way up', { local_path: '../x/llama.gguf' }, 'local_path', 'left_out'],
  ['an entrypoint', { entrypoint_override: 'sh' }, 'entrypoint_override', 'refused'],
  ['what is no list', { engine_startup_args_json: '{' }, 'engine_startup_args_json', 'refused'],
])('notes %s and reads the rest', (_what, fields, field, outcome) => {
  expect(outcomes(fields)[field]).toMatchObject({ outcome, message: expect.stringMatching(/\w/) });
  expect(contentOf(fields)).not.toBeNull();
});

it('names an engine that is not there', () => {
  expect(readPredecessorRecipe({ ...base, engine_type: 'sglang' })).toMatchObject({ content: null });
});

it('takes whatever is in the fields without failing, and never a secret', () => {
  const anything = fc.dictionary(
    fc.constantFrom(...knownFields('vllm'), ...knownFields('llamacpp'), 'local_path', 'config'),
    fc.jsonValue(),
  );
  fc.assert(
    fc.property(anything, fc.constantFrom('vllm', 'llamacpp'), (fields, engine_type) => {
      const read = readPredecessorRecipe({ ...fields, ...base, engine_type, hf_token: 'hush' });
      expect(JSON.stringify(read)).not.toContain('hush');
    }),
    { numRuns: 300 },
  );
});

it('reads a list of them, in JSON or YAML, and writes each so that it reads the same', () => {
  const [first, second] = readRecipes(
    JSON.stringify([
      { ...base, ngl: 9 },
      { ...base, name: 'Other', threads: 2 },
    ]),
  );
  expect(first?.content?.options).toMatchObject({ gpu_layers: 9 });
  expect(second).toMatchObject({ name: 'Other' });
  if (!first?.content) throw new Error('it was not read');
  const [again] = readRecipes(recipeText({ name: 'Again', note: 'n', content: first.content }));
  expect(again).toEqual({ name: 'Again', note: 'n', content: first.content, notes: [] });
});

it.each([
  ['what is no YAML', 'a: [', /flow/i],
  ['a model', 'kind: Model\nserved_name: a\nengine: vllm', /cortex apply/],
  ['something else', 'colour: red', /Model.*Recipe/],
  [
    'aliases that grow without end',
    `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c]`,
    /alias/i,
  ],
])('refuses %s with the reason', (_what, text, reason) => {
  const [read] = readRecipes(text);
  expect(read).toMatchObject({
    content: null,
    notes: [{ outcome: 'refused', message: expect.stringMatching(reason) }],
  });
});
