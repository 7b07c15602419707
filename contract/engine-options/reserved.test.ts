import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { refusedArguments, refusedEnvironment } from './reserved.ts';
import { llamacppOptions, vllmOptions } from './schema.ts';

const mustNot = {
  vllm: [
    'host',
    'port',
    'api-key',
    'model',
    'served-model-name',
    'download-dir',
    'hf-token',
    'config',
    'middleware',
    'uds',
  ],
  llamacpp: [
    'host',
    'port',
    'api-key',
    'api-key-file',
    'model',
    'alias',
    'offline',
    'hf-repo',
    'model-url',
    'rpc',
    'tools',
  ],
};

describe('arguments by hand', () => {
  it.each(['--port=1', '--po', '--por=1', '--api_key', '--served_model_name=x', '--serv', '-p', '-tp', '-h'])(
    'vLLM: %s is refused',
    (argument) => {
      expect(refusedArguments('vllm', [argument])).toEqual([{ index: 0, reason: expect.any(String) }]);
    },
  );

  it.each(['-m', '-p', '-hf', '-mu', '--hf_repo', '--no-offline', '--api-key=x', '--threads=4', '--'])(
    'llama.cpp: %s is refused',
    (argument) => {
      expect(refusedArguments('llamacpp', [argument])).toHaveLength(1);
    },
  );

  it('vLLM: no beginning of a flag that is kept gets through, however it is written', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...mustNot.vllm),
        fc.nat(),
        fc.constantFrom('', '=x', '.key=x', '+=x', '='),
        fc.boolean(),
        (flag, length, ending, underscores) => {
          const cut = flag.slice(0, 1 + (length % flag.length));
          const argument = `--${underscores ? cut.replaceAll('-', '_') : cut}${ending}`;
          expect(refusedArguments('vllm', [argument]), argument).toHaveLength(1);
        },
      ),
    );
  });

  it('llama.cpp: no flag that is kept gets through with underscores, a value or a negation', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...mustNot.llamacpp),
        fc.constantFrom('', '=x'),
        fc.constantFrom('--', '--no-'),
        fc.boolean(),
        (flag, ending, dashes, underscores) => {
          const full = `${dashes}${flag}`;
          const argument = `${underscores ? `--${full.slice(2).replaceAll('-', '_')}` : full}${ending}`;
          expect(refusedArguments('llamacpp', [argument]), argument).toHaveLength(1);
        },
      ),
    );
  });

  it('never lets a word through that no flag takes, since vLLM would take it for a model', () => {
    expect(refusedArguments('vllm', ['/etc'])).toHaveLength(1);
    expect(refusedArguments('vllm', ['--uvicorn-log-level', 'info', '/etc'])).toHaveLength(1);
    expect(refusedArguments('vllm', ['--uvicorn-log-level=info', '/etc'])).toHaveLength(1);
  });

  it('sends to the field, where there is one', () => {
    expect(refusedArguments('vllm', ['--max-model-len', '5'])[0]?.reason).toContain('set max_model_len instead');
    expect(refusedArguments('vllm', ['--max-num-b', '5'])[0]?.reason).toContain('short for --max-num-batched-tokens');
  });

  it('lets everything else through', () => {
    expect(
      refusedArguments('vllm', ['--uvicorn-log-level', 'warning', '--response-role=bot', '--ubatch-size', '-1']),
    ).toEqual([]);
    expect(refusedArguments('llamacpp', ['--yarn-ext-factor', '-1.0', '--spm-infill', '--top-n-sigma', '2'])).toEqual(
      [],
    );
  });

  it('tells each at its place in the body', () => {
    const read = vllmOptions.safeParse({ extra_args: ['--uvicorn-log-level', 'info', '--port', '1', '--host=x'] });
    expect(read.error?.issues.map(({ path }) => path)).toEqual([
      ['extra_args', 2],
      ['extra_args', 4],
    ]);
  });
});

describe('variables by hand', () => {
  it.each([
    'VLLM_API_KEY',
    'vllm_port',
    'HF_HUB_OFFLINE',
    'HF_TOKEN',
    'TRANSFORMERS_OFFLINE',
    'VLLM_NO_USAGE_STATS',
    'DO_NOT_TRACK',
    'https_proxy',
    'HTTP_PROXY',
    'LD_PRELOAD',
    'PYTHONPATH',
    'PATH',
    'NVIDIA_VISIBLE_DEVICES',
    'A B',
    '1A',
    '',
    'A=B',
  ])('vLLM: %j is refused', (variable) => {
    expect(refusedEnvironment('vllm', { [variable]: 'x' })).toHaveLength(1);
  });

  it('llama.cpp: the variables that stand for arguments are refused', () => {
    expect(llamacppOptions.safeParse({ extra_env: { LLAMA_ARG_PORT: '1' } }).success).toBe(false);
    expect(llamacppOptions.safeParse({ extra_env: { LLAMA_API_KEY: 'x' } }).success).toBe(false);
  });

  it('lets others through', () => {
    expect(refusedEnvironment('vllm', { VLLM_LOGGING_LEVEL: 'DEBUG', NCCL_P2P_DISABLE: '1' })).toEqual([]);
  });
});
