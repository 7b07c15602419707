import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memoryPlan } from '../../../../contract/memory.ts';
import { shapeOfConfig } from './config-shape.ts';
import { shapeOfGguf } from './gguf-shape.ts';
import { GiB, type Room } from './layout.ts';
import { memoryModel } from './options.ts';
import { planMemory } from './plan.ts';
import type { ModelShape } from './shape.ts';

/** Whatever a file claims, its plan is one that the API can send. */
const number = fc.oneof(
  fc.integer({ min: -2, max: 300 }),
  fc.double(),
  fc.constantFrom(0, 1e9, 1e18, Number.MAX_VALUE),
);
const value = fc.oneof(number, fc.constant(null), fc.string(), fc.boolean(), fc.array(number, { maxLength: 4 }));
const configNames = [
  ...['model_type', 'hidden_size', 'num_hidden_layers', 'num_attention_heads', 'num_key_value_heads', 'head_dim'],
  ...['vocab_size', 'intermediate_size', 'max_position_embeddings', 'sliding_window', 'layer_types', 'kv_lora_rank'],
  ...['num_local_experts', 'num_experts_per_tok', 'full_attention_interval', 'linear_num_value_heads', 'text_config'],
  ...['hybrid_override_pattern', 'attn_layer_period', 'max_window_layers', 'sliding_window_pattern', 'mamba_d_state'],
];
const ggufNames = [
  ...['block_count', 'embedding_length', 'context_length', 'feed_forward_length', 'attention.head_count', 'vocab_size'],
  ...[
    'attention.head_count_kv',
    'attention.key_length',
    'attention.sliding_window',
    'attention.sliding_window_pattern',
  ],
  ...['attention.key_length_mla', 'attention.kv_lora_rank', 'ssm.state_size', 'ssm.inner_size', 'expert_count'],
  ...['nextn_predict_layers', 'full_attention_interval', 'expert_used_count', 'ssm.conv_kernel'],
];
const tensors = fc.array(
  fc.record({
    name: fc.constantFrom('blk.0.a', 'blk.9999999.a', 'model.layers.1.self_attn.k_proj.weight', 'lm_head.weight', 'x'),
    dtype: fc.constantFrom('BF16', 'F32', 'I32'),
    shape: fc.array(fc.nat(), { maxLength: 3 }),
    bytes: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  }),
  { maxLength: 6 },
);
const rooms: readonly Room[] = [
  { gpus: [], host: { totalBytes: 8 * GiB, availableBytes: 8 * GiB } },
  { gpus: null, host: null },
  { gpus: [{ uuid: 'GPU-0', name: 'a', totalBytes: 24 * GiB, availableBytes: 20 * GiB }], host: null },
];

function expectPlan(shape: ModelShape | null, version: string | null): void {
  if (shape === null) return;
  for (const room of rooms) {
    for (const engine of ['vllm', 'llamacpp'] as const) {
      const plan = planMemory({ model: memoryModel({ engine, options: {} }), shape, version, room });
      expect(memoryPlan.safeParse(plan).error).toBeUndefined();
    }
  }
}

describe('a plan of anything', () => {
  it('that calls itself a config.json is a plan or none', () => {
    const config = fc.dictionary(
      fc.constantFrom(...configNames),
      fc.oneof(value, fc.dictionary(fc.constantFrom(...configNames), value)),
    );
    const base = { hidden_size: 64, num_hidden_layers: 4, num_attention_heads: 4 };
    fc.assert(
      fc.property(config, tensors, fc.constantFrom(null, '0.6.3', '0.8.0', 'b5000'), (fields, some, version) => {
        expectPlan(shapeOfConfig({ config: { ...base, ...fields }, tensors: some }), version);
      }),
      { numRuns: 300 },
    );
  });

  it('that calls itself GGUF metadata is a plan or none', () => {
    const metadata = fc.dictionary(
      fc.constantFrom(...ggufNames),
      fc.oneof(number, fc.string(), fc.array(number, { maxLength: 4 })),
    );
    fc.assert(
      fc.property(metadata, tensors, (fields, some) => {
        const named = Object.entries({ block_count: 4, embedding_length: 64, 'attention.head_count': 4, ...fields });
        const map = new Map<string, string | number | number[]>(named.map(([key, one]) => [`llama.${key}`, one]));
        expectPlan(shapeOfGguf({ metadata: map.set('general.architecture', 'llama'), tensors: some }), null);
      }),
      { numRuns: 300 },
    );
  });

  it('of the deepest model that is believed is made in under half a second', () => {
    const shape = shapeOfConfig({
      config: { hidden_size: 8192, num_hidden_layers: 512, num_attention_heads: 64, max_position_embeddings: 1e9 },
      tensors: [{ name: 'model.layers.0.x', dtype: 'BF16', shape: [1], bytes: 400 * GiB }],
    });
    const startedMs = performance.now();
    expectPlan(shape, null);
    expect((performance.now() - startedMs) / (2 * rooms.length)).toBeLessThan(500);
  });
});
