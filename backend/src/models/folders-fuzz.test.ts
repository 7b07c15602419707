import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { folderInspection } from '../../../contract/models.ts';
import { list, makeGguf, text, u32 } from '../../../tests/fixtures/gguf-file.ts';
import { mutations } from '../../../tests/fixtures/mutations.ts';
import { makeSafetensors } from '../../../tests/fixtures/safetensors-file.ts';
import { inspectModelFolder } from './folders.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cortex-folders-fuzz-'));
  mkdirSync(join(root, 'm'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const write = (name: string, content: Buffer | string) => writeFileSync(join(root, 'm', name), content);
/** What the route would answer: a shape that the contract does not allow fails here. */
const inspect = async () =>
  folderInspection.parse(await inspectModelFolder(root, 'm', { vllm: '0.6.3', llamacpp: null }));

it('a folder of damaged GGUF files is described in full: each is a candidate, a problem or a note', async () => {
  const whole = makeGguf({
    metadata: {
      'general.architecture': text('llama'),
      'general.name': text('Fuzz'),
      'general.file_type': u32(15),
      'llama.context_length': u32(4096),
      'llama.pooling_type': u32(0),
      'tokenizer.ggml.tokens': list(8, [text('a'), text('b')]),
    },
    tensors: [{ name: 'output.weight', type: 12, shape: [256, 2], bytes: 288 }],
  });
  let number = 0;
  for (const bytes of mutations(whole, 600, 7)) {
    number += 1;
    write(`m${number}.gguf`, bytes);
  }
  const { candidates, problems, notes } = await inspect();
  expect(candidates.length + problems.length + notes.length).toBe(600);
  expect(candidates.length).toBeGreaterThan(10);
  expect(problems.length).toBeGreaterThan(100);
});

it.each([
  ['config.json', { architectures: ['LlamaForCausalLM'], max_position_embeddings: 8192 }, 8],
  ['tokenizer_config.json', { chat_template: 'x'.repeat(40), model_max_length: 8192 }, 9],
  ['model.safetensors.index.json', { weight_map: { a: 'model.safetensors', b: 'model.safetensors' } }, 10],
])('a safetensors model with a damaged %s is offered, or the fault is named', async (name, content, seed) => {
  write('config.json', '{"architectures":["LlamaForCausalLM"]}');
  write('tokenizer.json', '{}');
  const names = ['a', 'b'];
  write('model.safetensors', makeSafetensors(names.map((one) => ({ name: one, dtype: 'F32', shape: [1], bytes: 4 }))));
  for (const bytes of mutations(Buffer.from(JSON.stringify(content, null, 1)), 250, seed)) {
    write(name, bytes);
    const { candidates, problems } = await inspect();
    expect(candidates.length === 1 || problems.length > 0).toBe(true);
  }
});
