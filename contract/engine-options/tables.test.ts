import { describe, expect, it } from 'vitest';
import type { EngineOption, Spelling } from './option.ts';
import { llamacppOptions, vllmOptions } from './schema.ts';
import { optionTables } from './tables.ts';

const numbersOf = (version: string): number => {
  const [a = 0, b = 0, c = 0] = (version.match(/\d+/g) ?? []).map(Number);
  return (a * 1000 + b) * 1000 + c;
};
const firstOf = ({ since }: Spelling) => (since === undefined ? 0 : numbersOf(since));
const endOf = ({ until }: Spelling) => (until === undefined ? Number.POSITIVE_INFINITY : numbersOf(until));
const flagsOf = (spelling: Spelling): string[] => {
  if (spelling.form === 'map') return Object.values(spelling.words).flat();
  return spelling.form === 'pair' ? [spelling.flag, spelling.off] : [spelling.flag];
};
const schemas = { llamacpp: llamacppOptions, vllm: vllmOptions };

describe.each(['llamacpp', 'vllm'] as const)('the table of %s', (engine) => {
  const options: [string, EngineOption][] = Object.entries(optionTables[engine]);

  it('gives no flag to two options', () => {
    const owners = new Map<string, string>();
    for (const [name, { spellings }] of options) {
      for (const flag of spellings.flatMap(flagsOf)) {
        expect(`${flag}: ${owners.get(flag) ?? name}`).toBe(`${flag}: ${name}`);
        owners.set(flag, name);
      }
    }
  });

  it.each(options)('%s: is written out, helps, and has a default that it allows', (name, option) => {
    expect(name).toMatch(/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/);
    expect(option.help).toMatch(/^[A-Z].{10,}[.…]$/s);
    expect(option.group).not.toBe('');
    for (const flag of option.spellings.flatMap(flagsOf)) expect(flag).toMatch(/^--[a-z][a-z0-9]*(-[a-z0-9]+)*$/);
    if ('min' in option) expect(option.min).toBeLessThan(option.max);
    if (option.standard === null) return;
    expect(schemas[engine].parse({ [name]: option.standard })).toMatchObject({ [name]: option.standard });
  });

  it.each(options)('%s: its spellings follow each other and never overlap', (_name, { spellings }) => {
    for (const spelling of spellings) expect(firstOf(spelling)).toBeLessThan(endOf(spelling));
    spellings.slice(1).forEach((spelling, index) => {
      expect(endOf(spellings[index] ?? spelling)).toBeLessThanOrEqual(firstOf(spelling));
    });
  });

  it.each(options)('%s: a value beyond what is allowed is refused', (name, option) => {
    const wrong: Record<EngineOption['kind'], unknown> = {
      integer: 'min' in option ? option.max + 1 : null,
      number: 'min' in option ? option.min - 1 : null,
      integers: 'min' in option ? [option.max + 1] : null,
      numbers: 'min' in option ? [option.min - 1] : null,
      boolean: 'yes',
      choice: 'no-such-choice',
      text: '--port=1',
      json: '{}',
      file: '../other/secret',
    };
    expect(schemas[engine].safeParse({ [name]: wrong[option.kind] }).success).toBe(false);
  });
});

it('models that were stored before keep their options', () => {
  expect(
    llamacppOptions.parse({ context_size: 512, gpu_layers: null, parallel: 2, batch_size: null, threads: 1 }),
  ).toMatchObject({
    context_size: 512,
    parallel: 2,
    threads: 1,
    mmproj: null,
    extra_args: [],
    extra_env: {},
  });
  expect(
    vllmOptions.parse({
      max_model_len: 1,
      gpu_memory_utilization: 0.9,
      tensor_parallel_size: 1,
      max_num_seqs: 4,
      dtype: 'half',
    }),
  ).toMatchObject({ max_model_len: 1, dtype: 'half', swap_space: null });
});

it.each(['..', 'a/../b', '/etc/passwd', '-x', './a', 'a/.', 'a\\b', 'a\u0000b', 'a\nb', ''])(
  'no file is %j',
  (file) => {
    expect(llamacppOptions.safeParse({ mmproj: file }).success).toBe(false);
  },
);
it.each(['mmproj.gguf', 'a/b.gguf', 'a..b', '.hidden/x'])('a file may be %j', (file) => {
  expect(llamacppOptions.parse({ mmproj: file }).mmproj).toBe(file);
});
