import { describe, expect, it } from 'vitest';
import { architectureDoubt } from './architectures.ts';
import { llamacppArchitectures, llamacppEncoders } from './llamacpp-architectures.ts';
import { vllmEnded, vllmSpans } from './vllm-architectures.ts';

describe('architectureDoubt', () => {
  it.each<[string, string | null, string | null]>([
    ['LlamaForCausalLM', '0.6.3', null],
    ['Qwen3ForCausalLM', '0.6.3', 'vLLM 0.6.3 does not have Qwen3ForCausalLM yet; 0.8.4 does.'],
    ['Qwen3ForCausalLM', '0.8.3', 'vLLM 0.8.3 does not have Qwen3ForCausalLM yet; 0.8.4 does.'],
    ['Qwen3ForCausalLM', '0.8.4', null],
    ['Qwen3ForCausalLM', null, null],
    ['DeepseekV3ForCausalLM', '0.6.3', 'vLLM 0.6.3 does not have DeepseekV3ForCausalLM yet; 0.10.1 does.'],
    // Somewhere between 0.6.3 and 0.10.1 it came: of 0.9.0 nothing is said.
    ['DeepseekV3ForCausalLM', '0.9.0', null],
    ['MllamaForConditionalGeneration', '0.10.2', null],
    [
      'MllamaForConditionalGeneration',
      '0.11.0',
      'vLLM runs MllamaForConditionalGeneration up to version 0.10.2 only; this one is 0.11.0.',
    ],
  ])('of vLLM: %s on %s', (name, version, doubt) => {
    expect(architectureDoubt('vllm', [name], version)).toBe(doubt);
  });

  it('doubts what no list has, and does not refuse it', () => {
    expect(architectureDoubt('vllm', ['NewForCausalLM'], '0.20.0')).toContain('A newer version may have it');
    expect(architectureDoubt('llamacpp', ['newarch'], null)).toContain('A newer build may have it');
    expect(architectureDoubt('llamacpp', ['llama'], null)).toBeNull();
  });

  it('takes a classifier of a known family for known', () => {
    expect(architectureDoubt('vllm', ['Qwen3ForSequenceClassification'], '0.10.0')).toBeNull();
    expect(architectureDoubt('vllm', ['Qwen3Model'], '0.6.3')).toContain('does not have Qwen3Model yet');
    expect(architectureDoubt('vllm', ['FooForSequenceClassification'], '0.10.0')).toContain('not in vLLM');
  });

  it('is content with one architecture of several that is known', () => {
    expect(architectureDoubt('vllm', ['NewForCausalLM', 'LlamaForCausalLM'], '0.6.3')).toBeNull();
    expect(architectureDoubt('vllm', [], '0.6.3')).toBeNull();
  });
});

describe('the lists', () => {
  it('name each architecture once', () => {
    const all = vllmSpans.flatMap(({ names }) => [...names]);
    expect(all.filter((name, index) => all.indexOf(name) !== index)).toEqual([]);
    expect(all.length).toBeGreaterThan(300);
  });

  it('hold only names, and versions that can be compared', () => {
    for (const { after, by, names } of vllmSpans) {
      for (const name of names) expect(name).toMatch(/^[A-Z][A-Za-z0-9_]+$/);
      for (const version of [after, by]) expect(version ?? '0').toMatch(/^\d+(\.\d+)*$/);
    }
    for (const version of Object.values(vllmEnded)) expect(version).toMatch(/^\d+\.\d+\.\d+$/);
  });

  it('count every encoder of llama.cpp among its architectures', () => {
    for (const name of llamacppEncoders) expect(llamacppArchitectures).toContain(name);
  });
});
