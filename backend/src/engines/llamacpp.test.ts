import { expect, it } from 'vitest';
import { llamacppOptions, vllmOptions } from '../../../contract/engine-options/schema.ts';
import { llamacppLaunch } from './llamacpp.ts';
import { quietVariables } from './quiet.ts';
import { vllmLaunch } from './vllm.ts';

it('llama.cpp gets only the options that were set, and its key by file', () => {
  const options = llamacppOptions.parse({ context_size: 0 });
  const { command, env } = llamacppLaunch(
    { served_name: 'a', task: 'generate', file: 'b.gguf', options },
    { version: null, flags: null },
  );
  expect(command.join(' ')).toContain('--model /model/b.gguf --alias a --host 0.0.0.0 --port 8080');
  expect(command.join(' ')).toContain('--api-key-file /run/cortex/api-key --ctx-size 0 --jinja');
  expect(command).not.toContain('--threads');
  expect(env).toEqual(quietVariables);
});

it.each([
  ['an image that lists it', null, ['--offline'], true],
  ['an image that does not, whatever its number', 'b9999', ['--ctx-size'], false],
  ['a build of before', 'b5000', null, false],
  ['a build of later', 'b6000', null, true],
  ['a moving tag that could not be asked', null, null, true],
])('llama.cpp is told to stay offline where it knows how: %s', (_what, version, listed, expected) => {
  const flags = listed === null ? null : new Map(listed.map((flag) => [flag, false]));
  const model = { served_name: 'a', task: 'generate', file: 'b.gguf', options: llamacppOptions.parse({}) } as const;
  expect(llamacppLaunch(model, { version, flags }).command.includes('--offline')).toBe(expected);
});

it('vLLM is kept from the network and reads its key in the container', () => {
  const { entrypoint, env } = vllmLaunch(
    { served_name: 'a', task: 'embed', options: vllmOptions.parse({ extra_env: { VLLM_LOGGING_LEVEL: 'DEBUG' } }) },
    { version: '0.6.3', flags: null },
  );
  expect(entrypoint?.join(' ')).toContain('$(cat /run/cortex/api-key)');
  expect(env).toContain('HF_HUB_OFFLINE=1');
  expect(env.at(-1)).toBe('VLLM_LOGGING_LEVEL=DEBUG');
});

it.each([
  ['0.6.3', ['--port', '8000']],
  ['0.8.5', ['--task', 'embedding']],
  ['0.13.0', ['--runner', 'pooling']],
])('vLLM %s is told of an embedding model in its own words', (version, words) => {
  const model = { served_name: 'a', task: 'embed', options: vllmOptions.parse({}) } as const;
  expect(vllmLaunch(model, { version, flags: null }).command.slice(-2)).toEqual(words);
});
