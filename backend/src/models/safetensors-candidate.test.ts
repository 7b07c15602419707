import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeSafetensors } from '../../../tests/fixtures/safetensors-file.ts';
import { inspectModelFolder } from './folders.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cortex-safetensors-'));
  mkdirSync(join(root, 'org/model'), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const write = (name: string, content: Buffer | string | object) =>
  writeFileSync(
    join(root, 'org/model', name),
    typeof content === 'string' || Buffer.isBuffer(content) ? content : JSON.stringify(content),
  );
const inspect = (vllm: string | null = '0.6.3') => inspectModelFolder(root, 'org/model', { vllm, llamacpp: null });
const weights = (...names: string[]) =>
  makeSafetensors(names.map((name) => ({ name, dtype: 'BF16', shape: [4], bytes: 8 })));
const config = { architectures: ['LlamaForCausalLM'], max_position_embeddings: 8192, model_type: 'llama' };

/** A folder that lacks nothing. */
function complete(changed: object = {}): void {
  write('config.json', { ...config, ...changed });
  write('generation_config.json', {});
  write('tokenizer.json', '{}');
  write('tokenizer_config.json', { chat_template: '{{ messages }}' });
  write('model.safetensors', weights('a', 'b'));
}

describe('a safetensors model', () => {
  it('is offered with all that its files tell', async () => {
    complete();
    const { candidates, problems, notes } = await inspect();
    expect([problems, notes]).toEqual([[], []]);
    expect(candidates).toEqual([
      {
        ...{ engine: 'vllm', task: 'generate', file: null, label: 'model', parts: 1, architecture: 'LlamaForCausalLM' },
        ...{ sizeBytes: weights('a', 'b').length, context_length: 8192, quantization: 'BF16', warnings: [] },
        not_for: { engine: 'llamacpp', reason: expect.any(String) },
      },
    ]);
  });

  it.each<[string, object, object]>([
    ['an encoder', { architectures: ['XLMRobertaModel'] }, { task: 'embed' }],
    ['a quantised one', { quantization_config: { quant_method: 'awq', bits: 4 } }, { quantization: 'AWQ 4-bit' }],
    ['FP8', { quantization_config: { quant_method: 'fp8' } }, { quantization: 'FP8' }],
    [
      'compressed',
      { quantization_config: { quant_method: 'compressed-tensors' } },
      { quantization: 'compressed-tensors' },
    ],
    [
      'a text part of its own',
      { max_position_embeddings: null, text_config: { max_position_embeddings: 131_072 } },
      { context_length: 131_072 },
    ],
    ['Llama 3 scaling', { rope_scaling: { rope_type: 'llama3', factor: 8 } }, { context_length: 8192 }],
    ['linear scaling', { rope_scaling: { type: 'linear', factor: 4 } }, { context_length: 32_768 }],
    [
      'YaRN',
      {
        max_position_embeddings: 163_840,
        rope_scaling: { type: 'yarn', factor: 40, original_max_position_embeddings: 4096 },
      },
      { context_length: 163_840 },
    ],
    ['no length', { max_position_embeddings: 'long' }, { context_length: null }],
  ])('is described by its configuration: %s', async (_, changed, expected) => {
    complete(changed);
    expect((await inspect()).candidates).toMatchObject([expected]);
  });

  it('makes vectors where sentence-transformers laid its files beside it', async () => {
    complete({ architectures: ['Qwen3ForCausalLM'] });
    write('modules.json', '[]');
    write('sentence_bert_config.json', { max_seq_length: 512 });
    expect((await inspect(null)).candidates).toMatchObject([{ task: 'embed', context_length: 512, warnings: [] }]);
  });

  it('quantised by ModelOpt says so in a file of its own', async () => {
    complete();
    write('hf_quant_config.json', { quantization: { quant_algo: 'NVFP4' } });
    expect((await inspect()).candidates).toMatchObject([{ quantization: 'NVFP4' }]);
  });

  it.each<[string, object, RegExp]>([
    [
      'an architecture newer than the image',
      { architectures: ['Qwen3ForCausalLM'] },
      /0\.6\.3 does not have Qwen3ForCausalLM yet; 0\.8\.4 does/,
    ],
    ['an unknown architecture', { architectures: ['FooForCausalLM'] }, /not in vLLM's list/],
    ['code of its own', { architectures: ['FooForCausalLM'], auto_map: {} }, /trust_remote_code/],
    ['no architecture', { architectures: null }, /names no architecture/],
    ['a reranker', { architectures: ['JinaVLForRanking'] }, /scores texts/],
  ])('is offered with a warning: %s', async (_, changed, warning) => {
    complete(changed);
    const { candidates } = await inspect();
    expect(candidates).toHaveLength(1);
    expect(candidates[0]?.warnings.join(' ')).toMatch(warning);
  });

  it('without a chat template or sampling defaults is offered, and that is said', async () => {
    complete();
    write('tokenizer_config.json', {});
    rmSync(join(root, 'org/model/generation_config.json'));
    const { candidates, notes } = await inspect();
    expect(candidates[0]?.warnings).toEqual([expect.stringContaining('no chat template')]);
    expect(notes).toEqual([{ file: null, message: expect.stringContaining('generation_config.json') }]);
  });

  it.each([
    ['chat_template.jinja', '{{ messages }}'],
    ['tekken.json', '{}'],
    ['tokenizer_config.json', { chat_template: [{ name: 'default', template: 'x' }] }],
  ])('may have its chat template in %s', async (name, content) => {
    complete();
    write('tokenizer_config.json', {});
    write(name, content);
    expect((await inspect()).candidates[0]?.warnings).toEqual([]);
  });
});

describe('the tokenizer', () => {
  beforeEach(() => {
    complete();
    rmSync(join(root, 'org/model/tokenizer.json'));
  });

  it.each([
    [['tokenizer.model']],
    [['tekken.json']],
    [['vocab.json', 'merges.txt']],
    [['qwen.tiktoken']],
    [['vocab.txt']],
  ])('may be %j', async (names) => {
    for (const name of names) write(name, '{}');
    expect((await inspect()).problems).toEqual([]);
  });

  it('is missed, also where half of it is there', async () => {
    expect((await inspect()).problems).toMatchObject([{ message: expect.stringContaining('no tokenizer') }]);
    write('vocab.json', '{}');
    expect((await inspect()).problems).toEqual([
      { file: null, message: 'Half of the tokenizer is missing: merges.txt.' },
    ]);
  });
});

describe('a folder with a fault', () => {
  it.each<[string, () => void, object]>([
    ['no configuration', () => rmSync(join(root, 'org/model/config.json')), { file: 'config.json' }],
    [
      'a configuration that is none',
      () => write('config.json', '{"a":'),
      { file: 'config.json', message: expect.stringContaining('not a JSON object') },
    ],
    [
      'a shard cut short',
      () => write('model.safetensors', weights('a').subarray(0, -3)),
      { file: 'model.safetensors', message: expect.stringContaining('3 of 8 bytes') },
    ],
    [
      'a second set',
      () => write('other.safetensors', weights('a')),
      { file: null, message: expect.stringContaining('2 sets of weights') },
    ],
    [
      'a shard that the index names',
      () => write('model.safetensors.index.json', { weight_map: { a: 'model-00001-of-00001.safetensors' } }),
      { message: expect.stringContaining('model-00001-of-00001.safetensors') },
    ],
  ])('offers no model and names it: %s', async (_, spoil, problem) => {
    complete();
    spoil();
    const { candidates, problems } = await inspect();
    expect(candidates).toEqual([]);
    expect(problems).toMatchObject([problem]);
  });

  it('notes an adapter beside the model, and one that stands alone', async () => {
    complete();
    write('adapter_model.safetensors', weights('lora'));
    const { candidates, notes } = await inspect();
    expect([candidates.length, notes[0]]).toEqual([
      1,
      { file: 'adapter_model.safetensors', message: expect.stringContaining('LoRA') },
    ]);
    rmSync(join(root, 'org/model/model.safetensors'));
    expect(await inspect()).toMatchObject({
      candidates: [],
      problems: [],
      notes: [{ file: 'adapter_model.safetensors' }],
    });
  });

  it('notes a second copy of the weights that the index does not name', async () => {
    complete();
    write('consolidated.safetensors', weights('a', 'b'));
    write('model.safetensors.index.json', { weight_map: { a: 'model.safetensors', b: 'model.safetensors' } });
    expect(await inspect()).toMatchObject({
      candidates: [{ parts: 1 }],
      notes: [{ file: 'consolidated.safetensors' }],
    });
  });
});
