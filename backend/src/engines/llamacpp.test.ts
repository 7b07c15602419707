import { expect, it } from 'vitest';
import { llamacppOptions, vllmOptions } from '../../../contract/models.ts';
import { llamacppLaunch } from './llamacpp.ts';
import { vllmLaunch } from './vllm.ts';

it('llama.cpp gets only the options that were set, and its key by file', () => {
  const options = llamacppOptions.parse({ context_size: 0 });
  const { command, env } = llamacppLaunch({ served_name: 'a', task: 'generate', file: 'b.gguf', options });
  expect(command.join(' ')).toContain('--model /model/b.gguf --alias a --host 0.0.0.0 --port 8080');
  expect(command.join(' ')).toContain('--api-key-file /run/cortex/api-key --ctx-size 0 --jinja');
  expect(command).not.toContain('--threads');
  expect(env).toEqual([]);
});

it('vLLM is kept from the network and reads its key in the container', () => {
  const { command, entrypoint, env } = vllmLaunch({ served_name: 'a', task: 'embed', options: vllmOptions.parse({}) });
  expect(command.slice(-2)).toEqual(['--task', 'embedding']);
  expect(entrypoint?.join(' ')).toContain('$(cat /run/cortex/api-key)');
  expect(env).toContain('HF_HUB_OFFLINE=1');
});
