import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { llamacppOptions, vllmOptions } from '../../../../contract/engine-options/schema.ts';
import { diagnose, recognise } from './diagnose.ts';
import { fixable, type Subject } from './fixes.ts';
import { causes, consequences } from './rules.ts';

const folder = new URL('real-logs/', import.meta.url);
// CODE.WHERE.txt: the page that an excerpt is from, then its lines, shortened. `none` is no failure.
const excerpts = readdirSync(folder).map((file) => {
  const [source = '', ...lines] = readFileSync(new URL(file, folder), 'utf8').trimEnd().split('\n');
  return { file, source, lines, code: file.split('.')[0] ?? '' };
});
const ended = { exitCode: 1, oomKilled: false, error: '' };
const vllm = (options: object = {}): Subject => ({ engine: 'vllm', options: vllmOptions.parse(options) });
const llamacpp = (options: object = {}): Subject => ({ engine: 'llamacpp', options: llamacppOptions.parse(options) });
const linesOf = (file: string) => excerpts.find((excerpt) => excerpt.file === file)?.lines ?? [];

describe('logs that people have shown', () => {
  it.each(excerpts)('$file is told by its cause', ({ source, lines, code }) => {
    expect(source).toMatch(/^# https:\/\//);
    expect(recognise(lines)?.code ?? 'none').toBe(code);
  });

  it.each(excerpts)('$file is claimed by no other cause', ({ lines, code }) => {
    const claiming = causes.filter(({ pattern }) => lines.some((line) => pattern.test(line)));
    expect(claiming.filter((rule) => rule.code !== code).map((rule) => rule.code)).toEqual([]);
  });
});

describe('the diagnosis', () => {
  const of = (file: string) => diagnose(linesOf(file), ended, vllm());

  it('names the length that the engine says would fit', () => {
    expect(of('length-over-kv-cache.vllm.txt').hint).toContain('max_model_len to 34736');
    expect(of('length-over-kv-cache.vllm-older.txt').hint).toContain('max_model_len to 3664');
  });

  it('names the share of the GPU that is free', () => {
    expect(of('gpu-memory-taken.vllm.txt').hint).toContain('gpu_memory_utilization to 0.8 ');
  });

  it('shows the line that names the cause, not those that follow from it', () => {
    expect(of('no-kv-cache.vllm.txt').cause?.evidence).toContain('No available memory for the cache blocks');
  });

  it('tells the newest run of an engine that has failed twice', () => {
    const lines = ['CUDA error: out of memory', "unknown model architecture: 'llama4'"];
    expect(recognise(lines)?.code).toBe('unknown-architecture');
  });

  it('reads what the Engine says of a container that it could not start', () => {
    const error = 'could not select device driver "" with capabilities: [[gpu]]';
    expect(diagnose([], { ...ended, error }, vllm()).reason).toContain('Docker can not give a GPU');
  });

  it('gives the last words of a failure that nobody knows', () => {
    expect(diagnose(['something odd', ''], ended, vllm()).reason).toBe('the engine ended with code 1: something odd');
  });
});

describe('what can be put right with one click', () => {
  const fixes = (file: string, subject: Subject) =>
    diagnose(linesOf(file), ended, subject).cause?.fixes.map(({ options }) => options);

  it.each<[string, Subject, object[]]>([
    ['length-over-kv-cache.vllm.txt', vllm(), [{ max_model_len: 34736 }, { gpu_memory_utilization: 0.95 }]],
    ['length-over-kv-cache.vllm-older.txt', vllm({ gpu_memory_utilization: 0.95 }), [{ max_model_len: 3664 }]],
    ['no-kv-cache.vllm.txt', vllm({ enforce_eager: true }), [{ gpu_memory_utilization: 0.95 }]],
    ['gpu-memory-taken.vllm.txt', vllm(), [{ gpu_memory_utilization: 0.8 }]],
    ['no-bfloat16.vllm.txt', vllm(), [{ dtype: 'float16' }]],
    ['quantisation-unsupported.vllm.txt', vllm({ quantization: 'fp8' }), [{ quantization: null }]],
    ['quantisation-unsupported.vllm.txt', vllm(), []],
    ['heads-not-divisible.vllm.txt', vllm({ tensor_parallel_size: 3 }), [{ tensor_parallel_size: 2 }]],
    ['own-code.vllm.txt', vllm(), [{ trust_remote_code: true }]],
    ['gpu-memory.vllm.txt', vllm({ max_num_seqs: 16 }), [{ enforce_eager: true }, { gpu_memory_utilization: 0.85 }]],
    [
      'gpu-memory.llamacpp.txt',
      llamacpp({ gpu_layers: 999, context_size: 16384 }),
      [
        { gpu_layers: null },
        { context_size: 8192 },
        { cache_type_k: 'q8_0', cache_type_v: 'q8_0', flash_attention: 'on' },
      ],
    ],
    ['gpu-memory.llamacpp.txt', llamacpp({ cache_type_k: 'q4_0' }), [{ context_size: 4096 }]],
    [
      'gpus-can-not-talk.vllm.txt',
      vllm({ tensor_parallel_size: 2 }),
      [{ disable_custom_all_reduce: true }, { tensor_parallel_size: 1 }],
    ],
    [
      'unknown-option.vllm.txt',
      vllm({ extra_args: ['--otlp-zone', 'b', '--temperature', '0.8'] }),
      [{ extra_args: ['--otlp-zone', 'b'] }],
    ],
    [
      'cache-needs-flash-attention.llamacpp.txt',
      llamacpp({ cache_type_v: 'q4_0', flash_attention: 'off' }),
      [{ flash_attention: 'on' }, { cache_type_v: null }],
    ],
    ['driver-too-old.engine.txt', vllm(), []],
  ])('%s', (file, subject, expected) => {
    expect(fixes(file, subject)).toEqual(expected);
  });

  it('an option with a field that the engine does not know is given back to it', () => {
    const lines = ['error: invalid argument: --cache-ram'];
    const { cause } = diagnose(lines, ended, llamacpp({ cache_ram: 100 }));
    expect(cause?.fixes.map(({ options }) => options)).toEqual([{ cache_ram: null }]);
  });

  it('an engine that the kernel ended for want of memory gets a smaller context', () => {
    const { cause } = diagnose(['loading'], { ...ended, oomKilled: true }, llamacpp({ context_size: 2000 }));
    expect(cause?.fixes.map(({ options }) => options)).toContainEqual({ context_size: 1000 });
  });

  it('is of failures that are known', () => {
    const known = new Set([...causes, ...consequences].map(({ code }) => code));
    expect([...fixable].filter((code) => !known.has(code))).toEqual([]);
  });
});
