import { describe, expect, it } from 'vitest';
import { llamacppOptions, vllmOptions } from '../../../contract/engine-options/schema.ts';
import { writeOptions } from './command-line.ts';
import { flagsInHelp, llamacppVersion, versionInName } from './help.ts';

const vllm = (options: object, version: string | null, help?: string) =>
  writeOptions(
    'vllm',
    vllmOptions.parse(options),
    { version, flags: help === undefined ? null : flagsInHelp(help) },
    '/model',
  );
const llamacpp = (options: object, version: string | null, help?: string) =>
  writeOptions(
    'llamacpp',
    llamacppOptions.parse(options),
    { version, flags: help === undefined ? null : flagsInHelp(help) },
    '/model',
  );

describe('the options of a model on the command line of a version', () => {
  it.each([
    ['0.6.3', { swap_space: 2 }, ['--swap-space', '2']],
    ['0.17.1', { swap_space: 2 }, ['--swap-space', '2']],
    ['0.9.2', { cudagraph_capture_sizes: [1, 8] }, ['--cuda-graph-sizes', '1', '8']],
    ['0.27.1', { cudagraph_capture_sizes: [1, 8] }, ['--cudagraph-capture-sizes', '1', '8']],
    ['0.6.3', { log_requests: false }, ['--disable-log-requests']],
    ['0.6.3', { log_requests: true }, []],
    ['0.27.1', { log_requests: false }, ['--no-enable-log-requests']],
    ['0.8.3', { enable_chunked_prefill: false }, ['--enable-chunked-prefill', 'false']],
    ['0.11.0', { enable_chunked_prefill: false }, ['--no-enable-chunked-prefill']],
    ['0.6.3', { limit_mm_per_prompt: { image: 2, video: 1 } }, ['--limit-mm-per-prompt', 'image=2,video=1']],
    ['0.11.0', { limit_mm_per_prompt: { image: 2 } }, ['--limit-mm-per-prompt', '{"image":2}']],
    ['0.6.3', { tokenizer: 'tok' }, ['--tokenizer', '/model/tok']],
    ['0.6.3', { enforce_eager: false }, []],
    ['0.27.1', { enforce_eager: false }, ['--no-enforce-eager']],
  ])('vLLM %s: %j', (version, options, words) => {
    expect(vllm(options, version)).toEqual({ words, issues: [] });
  });

  it.each([
    ['0.18.0', { swap_space: 2 }, 'vLLM 0.18.0 does not have swap_space (it is there up to before 0.18.0).'],
    ['0.6.3', { async_scheduling: true }, 'vLLM 0.6.3 does not have async_scheduling'],
    ['0.29.0', { calculate_kv_scales: true }, 'vLLM 0.29.0 does not have calculate_kv_scales'],
  ])('vLLM %s can not be told %j, and says from when to when', (version, options, message) => {
    const { words, issues } = vllm(options, version);
    expect(words).toEqual([]);
    expect(issues).toEqual([{ option: Object.keys(options)[0], message: expect.stringContaining(message) }]);
  });

  it('tells all that is wrong, not only the first', () => {
    const { issues } = vllm({ swap_space: 2, rope_theta: 10_000, max_model_len: 100 }, '0.27.1');
    expect(issues.map(({ option }) => option)).toEqual(['swap_space', 'rope_theta']);
  });

  it('believes the help of the image before the table', () => {
    const help = '  --swap-space SWAP_SPACE\n                        CPU swap space';
    expect(vllm({ swap_space: 2 }, '0.27.1', help).words).toEqual(['--swap-space', '2']);
    expect(vllm({ max_model_len: 9 }, '0.6.3', help).issues).toHaveLength(1);
    expect(
      vllm({ extra_args: ['--foo', 'x', '--swap_space_x'] }, '0.6.3', help).issues.map((one) => one.option),
    ).toEqual(['extra_args.0', 'extra_args.2']);
  });

  const older = `-c,    --ctx-size N                      size of the prompt context
-fa,   --flash-attn                     enable Flash Attention (default: disabled)
--mlock                                 force system to keep model in RAM
--no-mmap                               do not memory-map model
--draft-max, --draft, --draft-n N       number of tokens to draft`;
  const newer = `-c,    --ctx-size N                      size of the prompt context
-fa,   --flash-attn [on|off|auto]       set Flash Attention use
-lm,   --load-mode MODE                 model loading mode, see --mlock
--spec-draft-n-max N                    number of tokens to draft
--draft, --draft-n, --draft-max N       the argument has been removed. use --spec-draft-n-max`;

  it('llama.cpp: writes what drifted as the build has it', () => {
    const options = { flash_attention: 'on', load_mode: 'mmap+mlock', draft_max: 4 };
    expect(llamacpp(options, null, older)).toEqual({
      words: ['--flash-attn', '--mlock', '--draft-max', '4'],
      issues: [],
    });
    expect(llamacpp(options, null, newer)).toEqual({
      words: ['--flash-attn', 'on', '--load-mode', 'mmap+mlock', '--spec-draft-n-max', '4'],
      issues: [],
    });
    expect(llamacpp({ load_mode: 'dio' }, null, older).issues).toEqual([
      expect.objectContaining({ message: expect.stringContaining('load_mode=dio') }),
    ]);
  });

  it('llama.cpp: joins parts with commas and puts files below the folder', () => {
    expect(llamacpp({ tensor_split: [3, 1], mmproj: 'a/mmproj.gguf' }, 'b9999').words).toEqual([
      '--tensor-split',
      '3,1',
      '--mmproj',
      '/model/a/mmproj.gguf',
    ]);
  });
});

describe('what an image tells of itself', () => {
  it("reads argparse's entries, with values, choices and negations, and not the flags that explanations name", () => {
    const flags = flagsInHelp(`usage: api_server.py [-h] [--host HOST]

options:
  -h, --help            show this help message and exit
  --dtype {auto,half,float16,bfloat16,float,float32}
                        Data type
  --compilation-config COMPILATION_CONFIG, -O COMPILATION_CONFIG
                        -O3 is equivalent to -O 3.
  --enable-chunked-prefill [ENABLE_CHUNKED_PREFILL]
                        --not-a-flag here
  --enable-prefix-caching, --no-enable-prefix-caching
                        Use it`);
    expect([...flags]).toEqual([
      ['-h', false],
      ['--help', false],
      ['--dtype', true],
      ['--compilation-config', true],
      ['-O', true],
      ['--enable-chunked-prefill', true],
      ['--enable-prefix-caching', false],
      ['--no-enable-prefix-caching', false],
    ]);
  });

  it('leaves out what llama.cpp lists as removed, also where that is said on the next line', () => {
    const flags = flagsInHelp(
      '--draft, --draft-max N                  the argument has been removed. use --spec-draft-n-max\n' +
        '--spec-ngram-size-n N\n                                        the argument has been removed. use another\n' +
        '-ts,   --tensor-split N0,N1,N2,...      fraction of the model',
    );
    expect([...flags]).toEqual([
      ['-ts', true],
      ['--tensor-split', true],
    ]);
  });

  it('knows versions by what the engine says, or else by the name of the image', () => {
    expect(llamacppVersion('version: 4719 (d07c6213)\nbuilt with cc')).toBe('b4719');
    expect(llamacppVersion('version: 0 (unknown)')).toBeNull();
    expect(versionInName('vllm', 'registry:5000/vllm/vllm-openai:v0.6.3.post1')).toBe('0.6.3');
    expect(versionInName('llamacpp', 'ghcr.io/ggml-org/llama.cpp:server-cuda-b10731')).toBe('b10731');
    expect(versionInName('llamacpp', 'ghcr.io/ggml-org/llama.cpp:server-cuda')).toBeNull();
  });
});
