import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { type GgufField, list, makeGguf, text, u32 } from '../fixtures/gguf-file.ts';
import { makeSafetensors } from '../fixtures/safetensors-file.ts';
import { openChromium } from './chromium.ts';
import { expectFitForAll, openSignedIn } from './signed-in.ts';

const cortex = new EmbeddedCortex();
let account: { username: string; password: string };

const gguf = (metadata: Record<string, GgufField>) =>
  makeGguf({
    metadata: {
      'general.architecture': text('llama'),
      'general.name': text('Tiny Llama'),
      'llama.context_length': u32(8192),
      'tokenizer.ggml.tokens': list(8, [text('a')]),
      'tokenizer.chat_template': text('{{ messages }}'),
      ...metadata,
    },
    tensors: [{ name: 'output.weight', type: 12, shape: [256, 4], bytes: 576 }],
  });

function put(path: string, content: Buffer | string): void {
  mkdirSync(join(cortex.models, path, '..'), { recursive: true });
  writeFileSync(join(cortex.models, path), content);
}

beforeAll(async () => {
  await cortex.start({ DOCKER_HOST: 'unix:///nonexistent/docker.sock' });
  account = await cortex.signInForGood();
  put('org/tiny-llama/tiny-Q4_K_M.gguf', gguf({ 'general.file_type': u32(15) }));
  put('org/tiny-llama/tiny-Q8_0.gguf', gguf({ 'general.file_type': u32(7), 'general.architecture': text('llama9') }));
  put('org/tiny-llama/mmproj-tiny.gguf', gguf({ 'general.architecture': text('clip') }));
  put('org/tiny-llama/tiny-F16.gguf', gguf({ 'general.file_type': u32(1) }).subarray(0, -123));
  put('org/tiny-llama/README.md', '---\nlicense: apache-2.0\n---\n');
  put('org/tiny-llama/LICENSE', 'Apache License');
  put(
    'org/tiny-llama/.cortex-source.json',
    JSON.stringify({ repository: 'org/tiny-llama-GGUF', revision: '0123456789abcdef', licence: 'apache-2.0' }),
  );
  put('qwen/config.json', JSON.stringify({ architectures: ['Qwen3ForCausalLM'], max_position_embeddings: 40_960 }));
  put('qwen/tokenizer.json', '{}');
  put('qwen/model.safetensors', makeSafetensors([{ name: 'a', dtype: 'BF16', shape: [4], bytes: 8 }]));
  put('one/two/three/four/five/six/deep.gguf', gguf({}));
});
afterAll(() => cortex.stop());

it('shows what a folder holds, what of it can run and what speaks against it', async () => {
  const { context, close } = await openChromium();
  try {
    const page = await openSignedIn(context, cortex.ui, account);
    await page.goto(`${cortex.ui}/models/add?step=folder`);
    await page.getByText('Folders more than 5 levels down were not looked at.').waitFor();
    await expectFitForAll(page, 'model-folders');
    await page.getByRole('button', { name: 'org/tiny-llama' }).click();
    const models = page.getByRole('list', { name: 'Models' });
    await models.getByText('Q4_K_M').waitFor();
    expect(await models.getByRole('listitem').count()).toBe(2);
    await models.getByText('Not for vLLM').first().waitFor();
    await models.getByText("llama9 is not in llama.cpp's list").waitFor();
    await page.getByRole('region', { name: "Can't be served" }).getByText('tiny-F16.gguf').waitFor();
    await page.getByText('it is cut short, 123 of').waitFor();
    await page.getByRole('region', { name: 'Also here' }).getByText('mmproj-tiny.gguf').waitFor();
    await page.getByText('apache-2.0, in LICENSE').waitFor();
    await page.getByText('org/tiny-llama-GGUF at 0123456789ab').waitFor();
    await expectFitForAll(page, 'model-folder');
    await page.goto(`${cortex.ui}/models/add?step=file&folder=qwen`);
    await page.getByText('vLLM 0.6.3 does not have Qwen3ForCausalLM yet; 0.8.4 does.').waitFor();
    await page.getByText('It has no chat template').waitFor();
    await expectFitForAll(page, 'model-folder-vllm');
    await page.goto(`${cortex.ui}/models/add?step=file&folder=org/tiny-llama`);
    await page.getByRole('button', { name: 'Q8_0' }).press('Enter');
    await page.waitForURL('**file=tiny-Q8_0.gguf**');
  } finally {
    await close();
  }
});
