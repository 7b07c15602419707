import { describe, expect, it } from 'vitest';
import { shapeOfConfig } from './config-shape.ts';
import { type GgufFacts, shapeOfGguf } from './gguf-shape.ts';
import { bytesPerToken, llamacppLayerCaches, vllmLayerCaches } from './kv-cache.ts';
import { GiB, MiB } from './layout.ts';
import { computeBufferBytes } from './llamacpp-layout.ts';
import { type ModelShape, sum } from './shape.ts';
import { vllmActivationBytes } from './vllm-layout.ts';

/**
 * The planner against figures that others published. The configurations are the models' own config.json on Hugging Face, or
 * the metadata that llama.cpp printed in the log that is cited; the figures are of the source beside them.
 */

const ofConfig = (config: object): ModelShape => {
  const shape = shapeOfConfig({ config, tensors: [] });
  if (shape === null) throw new Error('no shape');
  return shape;
};
const ofGguf = (architecture: string, values: Record<string, number>): ModelShape => {
  const metadata: GgufFacts['metadata'] = new Map<string, string | number>([
    ['general.architecture', architecture],
    ...Object.entries(values).map(([key, value]) => [`${architecture}.${key}`, value] as const),
  ]);
  const shape = shapeOfGguf({ metadata, tensors: [] });
  if (shape === null) throw new Error('no shape');
  return shape;
};

const llama = (hidden: number, layers: number, heads: number, kvHeads: number, width: number, vocab: number) => ({
  model_type: 'llama',
  hidden_size: hidden,
  num_hidden_layers: layers,
  num_attention_heads: heads,
  num_key_value_heads: kvHeads,
  intermediate_size: width,
  vocab_size: vocab,
});
const deepseek = (hidden: number, layers: number, vocab: number) => ({
  ...llama(hidden, layers, 128, 128, 12_288, vocab),
  model_type: 'deepseek_v3',
  kv_lora_rank: 512,
  qk_rope_head_dim: 64,
  qk_nope_head_dim: 128,
  v_head_dim: 128,
  q_lora_rank: 1536,
  n_routed_experts: 256,
  num_experts_per_tok: 8,
  moe_intermediate_size: 2048,
});

const insights = 'arXiv 2505.09343 (Insights into DeepSeek-V3), table 1: KV cache per token, BF16';
const llamaBlog = 'huggingface.co/blog/llama31, table of KV cache sizes in FP16 at 128k (128,000) tokens';

/** [model, config.json, bytes of a token in 16 bits, share that the source's rounding allows, source] */
const perToken: readonly (readonly [string, object, number, number, string])[] = [
  [
    'OPT-13B',
    { model_type: 'opt', hidden_size: 5120, num_hidden_layers: 40, num_attention_heads: 40, ffn_dim: 20_480 },
    800 * 1024,
    0,
    'arXiv 2309.06180 (PagedAttention), section 3: 800 KB a token, 2 × 5120 × 40 × 2',
  ],
  [
    'Llama-2-7B',
    llama(4096, 32, 32, 32, 11_008, 32_000),
    512 * 1024,
    0,
    'NVIDIA, Mastering LLM Techniques: Inference Optimization: 1 × 4096 × 2 × 32 × 4096 × 2 bytes for 4096 tokens',
  ],
  ['Llama-3.1-8B', llama(4096, 32, 32, 8, 14_336, 128_256), (15.62 * GiB) / 128_000, 0.001, llamaBlog],
  ['Llama-3.1-70B', llama(8192, 80, 64, 8, 28_672, 128_256), (39.06 * GiB) / 128_000, 0.001, llamaBlog],
  ['Llama-3.1-405B', llama(16_384, 126, 128, 8, 53_248, 128_256), 516_096, 0, insights],
  [
    'Qwen2.5-72B',
    { ...llama(8192, 80, 64, 8, 29_568, 152_064), use_sliding_window: false, sliding_window: 131_072 },
    327_680,
    0,
    insights,
  ],
  ['DeepSeek-V3', deepseek(7168, 61, 129_280), 70_272, 0, insights],
  [
    'DeepSeek-V2',
    deepseek(5120, 60, 102_400),
    2 * 34_600,
    0.002,
    'arXiv 2405.04434 (DeepSeek-V2), table 9: 34.6K elements a token for the large MoE with MLA',
  ],
  [
    'Mixtral-8x7B',
    { ...llama(4096, 32, 32, 8, 14_336, 32_000), num_local_experts: 8, num_experts_per_tok: 2, sliding_window: null },
    (64 * MiB) / 512,
    0,
    'github.com/ggml-org/llama.cpp/issues/4381: KV self size = 64.00 MiB at n_ctx = 512',
  ],
  [
    'Qwen2.5-7B',
    llama(3584, 28, 28, 4, 18_944, 152_064),
    (112 * MiB) / 2048,
    0,
    'github.com/JamePeng/llama-cpp-python/pull/1: KV self size = 112.00 MiB at n_ctx = 2048',
  ],
  [
    'Qwen2.5-3B',
    llama(2048, 36, 16, 2, 11_008, 151_936),
    (144 * MiB) / 4096,
    0,
    'github.com/SciSharp/LLamaSharp/issues/1099: KV self size = 144.00 MiB at n_ctx = 4096',
  ],
];

describe('the KV cache of a token', () => {
  for (const [model, config, bytes, share, source] of perToken) {
    it(`is that of ${model} as published: ${source}`, () => {
      const { layers } = ofConfig(config);
      expect(Math.abs(bytesPerToken(layers, 2) - bytes)).toBeLessThanOrEqual(bytes * share);
    });
  }
});

const plainCache = {
  slots: 1,
  unified: false,
  ubatch: 512,
  typeK: null,
  typeV: null,
  fullWindows: false,
  latentValues: false,
};

describe("llama.cpp's cache of a model with windows", () => {
  const gptOss = ofGguf('gpt-oss', {
    ...{ block_count: 24, embedding_length: 2880, context_length: 131_072, expert_count: 32, expert_used_count: 4 },
    ...{ 'attention.head_count': 64, 'attention.head_count_kv': 8, 'attention.sliding_window': 128 },
    ...{ 'attention.key_length': 64, 'attention.value_length': 64, expert_feed_forward_length: 2880 },
    vocab_size: 201_088,
  });
  const cacheOf = (shape: ModelShape, windowed: boolean, cache: Parameters<typeof llamacppLayerCaches>[1]) =>
    sum(
      llamacppLayerCaches(shape, cache).filter((_, index) => {
        const layer = shape.layers[index];
        return layer?.kind === 'attention' && (layer.window !== null) === windowed;
      }),
    );

  it('is that of gpt-oss-20b: 18.00 MiB in 768 cells of 12 layers (github.com/ggml-org/llama.cpp/pull/17609)', () => {
    expect(cacheOf(gptOss, true, { ...plainCache, context: 4096 })).toBe(18 * MiB);
  });

  it('is that of gpt-oss-20b in q8_0: 102.00 and 3.19 MiB (docs/backend/hexagon/README.md of llama.cpp)', () => {
    const cache = { ...plainCache, context: 8192, ubatch: 128, typeK: 'q8_0', typeV: 'q8_0' };
    expect(cacheOf(gptOss, false, cache)).toBe(102 * MiB);
    expect(cacheOf(gptOss, true, cache) / MiB).toBeCloseTo(3.19, 2);
  });

  const gemma270m = ofGguf('gemma3', {
    ...{ block_count: 18, embedding_length: 640, context_length: 32_768, feed_forward_length: 2048 },
    ...{ 'attention.head_count': 4, 'attention.head_count_kv': 1, 'attention.sliding_window': 512 },
    ...{ 'attention.key_length': 256, 'attention.value_length': 256 },
  });
  it.each([
    [3, 27],
    [4, 18],
  ])(
    'is that of Gemma-3-270m with %d slots at 1024 tokens: %d MiB (github.com/unslothai/unsloth/pull/7530)',
    (slots, mib) => {
      const caches = llamacppLayerCaches(gemma270m, { ...plainCache, context: 1024, slots });
      expect(sum(caches)).toBe(mib * MiB);
    },
  );

  it('has one layer in six of Gemma-3 and one in two of Gemma-2 see all, as their config.json says', () => {
    const gemma3 = ofConfig({
      model_type: 'gemma3',
      text_config: {
        ...llama(5376, 62, 32, 16, 21_504, 262_208),
        head_dim: 128,
        model_type: 'gemma3_text',
        sliding_window: 1024,
        sliding_window_pattern: 6,
      },
    });
    const gemma2 = ofConfig({
      ...llama(3584, 42, 16, 8, 14_336, 256_000),
      head_dim: 256,
      model_type: 'gemma2',
      sliding_window: 4096,
    });
    const whole = (shape: ModelShape) =>
      shape.layers.filter((one) => one.kind === 'attention' && one.window === null).length;
    expect([whole(gemma3), whole(gemma2)]).toEqual([10, 21]);
  });

  it("is an eighth in vLLM for Mistral-7B-v0.1 at 32k tokens (arXiv 2310.06825: 'reduces the cache memory usage by 8x')", () => {
    const mistral = { ...llama(4096, 32, 32, 8, 14_336, 32_000), model_type: 'mistral', sliding_window: 4096 };
    const cache = {
      context: 32_768,
      numberBytes: 2,
      tensorParallel: 1,
      blockTokens: 16,
      batchedTokens: 1,
      hybrid: true,
    };
    const windowed = sum(vllmLayerCaches(ofConfig(mistral), cache));
    expect(sum(vllmLayerCaches(ofConfig({ ...mistral, sliding_window: null }), cache)) / windowed).toBe(8);
  });
});

describe("llama.cpp's other caches", () => {
  it('hold keys and values of DeepSeek-V2-Lite converted without MLA: 648 and 432 MiB at 4096 (log lines of 27 layers, K 192, V 128)', () => {
    const lite = ofGguf('deepseek2', {
      ...{ block_count: 27, embedding_length: 2048, 'attention.head_count': 16, 'attention.head_count_kv': 16 },
      ...{ 'attention.key_length': 192, 'attention.value_length': 128, 'attention.kv_lora_rank': 512 },
    });
    expect(sum(llamacppLayerCaches(lite, { ...plainCache, context: 4096 }))).toBe(1080 * MiB);
  });

  it('hold a latent vector of DeepSeek-R1 with MLA: 1098.00 MiB at 16384 (log of a build that keeps no values)', () => {
    const r1 = ofGguf('deepseek2', {
      ...{ block_count: 61, embedding_length: 7168, 'attention.head_count': 128, 'attention.head_count_kv': 1 },
      ...{ 'attention.key_length': 576, 'attention.value_length': 512, 'attention.kv_lora_rank': 512 },
      ...{ 'attention.key_length_mla': 192, 'attention.value_length_mla': 128, 'rope.dimension_count': 64 },
    });
    expect(sum(llamacppLayerCaches(r1, { ...plainCache, context: 16_384 }))).toBe(1098 * MiB);
  });

  it('hold a state of the linear layers of a Qwen3.x-27B: 149.62 MiB, and 16 layers with 2048.00 MiB at 32768 (log of build 10809)', () => {
    const hybrid = ofGguf('qwen35', {
      ...{ block_count: 64, embedding_length: 5120, 'attention.head_count': 24, 'attention.head_count_kv': 4 },
      ...{ 'attention.key_length': 256, 'attention.value_length': 256, full_attention_interval: 4 },
      ...{ 'ssm.conv_kernel': 4, 'ssm.inner_size': 6144, 'ssm.state_size': 128, 'ssm.group_count': 16 },
    });
    const caches = llamacppLayerCaches(hybrid, { ...plainCache, context: 32_768 });
    const states = sum(caches.filter((_, index) => hybrid.layers[index]?.kind === 'recurrent'));
    expect(states / MiB).toBeCloseTo(149.62, 1);
    expect(sum(caches) - states).toBe(2048 * MiB);
  });
});

/** [model, shape, flash attention, cells, MiB that llama.cpp printed, source]; ubatch 512 */
const buffers: readonly (readonly [string, object, boolean, number, number, string])[] = [
  [
    'Llama-2-7B',
    llama(4096, 32, 32, 32, 11_008, 32_000),
    false,
    2048,
    164,
    'CPU compute buffer of a Llama-2-7B log, b3000s',
  ],
  [
    'Llama-3.1-8B',
    llama(4096, 32, 32, 8, 14_336, 128_256),
    false,
    8192,
    560,
    'CUDA0 compute buffer of an Ollama log, n_ctx 8192',
  ],
  [
    'Qwen2.5-7B',
    llama(3584, 28, 28, 4, 18_944, 152_064),
    false,
    2048,
    304,
    'github.com/JamePeng/llama-cpp-python/pull/1',
  ],
  [
    'Qwen2.5-3B',
    llama(2048, 36, 16, 2, 11_008, 151_936),
    false,
    4096,
    300.75,
    'github.com/SciSharp/LLamaSharp/issues/1099',
  ],
  [
    'Mistral-Small-24B',
    llama(5120, 40, 32, 8, 32_768, 131_072),
    true,
    4096,
    266,
    'ROCm0 compute buffer of a llama.cpp log with 40 layers, n_vocab 131072',
  ],
  [
    'TinyLlama-1.1B',
    llama(2048, 22, 32, 4, 5632, 32_000),
    true,
    2048,
    66.5,
    'CPU compute buffer of an Ollama log of 2026',
  ],
  [
    'gpt-oss-20b',
    { ...llama(2880, 24, 64, 8, 2880, 201_088), num_local_experts: 32, experts_per_token: 4 },
    true,
    4096,
    404,
    'github.com/ggml-org/llama.cpp/pull/17609 (Metal)',
  ],
];
const bufferTolerance = 0.02;

describe(`llama.cpp's compute buffer, within ${bufferTolerance * 100} %`, () => {
  for (const [model, config, flash, cells, mib, source] of buffers) {
    it(`is that of ${model} with ${flash ? '' : 'no '}flash attention at ${cells}: ${mib} MiB (${source})`, () => {
      const planned = computeBufferBytes(ofConfig(config), { ubatch: 512, cells, flash, halfMask: false }) / MiB;
      expect(Math.abs(planned - mib) / mib).toBeLessThanOrEqual(bufferTolerance);
    });
  }
});

/** [model, config, tokens of a step, requests, GPUs, first engine, GiB of "activation peak memory", source] */
const peaks: readonly (readonly [string, object, number, number, number, boolean, number, string])[] = [
  [
    'Llama-3-8B',
    llama(4096, 32, 32, 8, 14_336, 128_256),
    8192,
    256,
    1,
    true,
    1.26,
    'github.com/vllm-project/vllm/pull/10511',
  ],
  [
    'Llama-3-8B',
    llama(4096, 32, 32, 8, 14_336, 128_256),
    8192,
    256,
    2,
    true,
    1.26,
    'github.com/vllm-project/vllm/pull/10511',
  ],
  [
    'Llama-3.1-8B',
    llama(4096, 32, 32, 8, 14_336, 128_256),
    2048,
    256,
    1,
    true,
    1.19,
    'a log of 0.7, 131072 tokens of context',
  ],
  [
    'DeepSeek-R1-0528-Qwen3-8B',
    llama(4096, 36, 32, 8, 12_288, 151_936),
    8192,
    256,
    4,
    true,
    1.45,
    'a log of 0.8.5, V0',
  ],
  ['Qwen2.5-7B', llama(3584, 28, 28, 4, 18_944, 152_064), 4200, 256, 1, true, 1.42, 'a log of 0.7.3, 4200 tokens'],
  ['Qwen2.5-1.5B', llama(1536, 28, 12, 2, 8960, 151_936), 32_768, 256, 1, true, 2.02, 'a log of 0.7 on a T4'],
  [
    'Llama-3.1-8B',
    llama(4096, 32, 32, 8, 14_336, 128_256),
    8192,
    1024,
    1,
    false,
    1.44,
    'a log of the second engine, 80 GB',
  ],
  [
    'Qwen2.5-0.5B',
    llama(896, 24, 14, 2, 4864, 151_936),
    2048,
    256,
    1,
    false,
    0.59,
    'github.com/ovg-project/kvcached/pull/448',
  ],
];
const peakTolerance = { v0: 0.05, v1: 0.2 } as const;

describe(`vLLM's activation peak, within ${peakTolerance.v0 * 100} % of the first engine and ${peakTolerance.v1 * 100} % of the second`, () => {
  for (const [model, config, tokens, requests, tensorParallel, v0, gib, source] of peaks) {
    it(`is that of ${model} with ${tokens} tokens and ${requests} requests on ${tensorParallel}: ${gib} GiB (${source})`, () => {
      const planned = vllmActivationBytes(ofConfig(config), { tokens, requests }, { tensorParallel, v0 }) / GiB;
      expect(Math.abs(planned - gib) / gib).toBeLessThanOrEqual(v0 ? peakTolerance.v0 : peakTolerance.v1);
    });
  }
});

describe("vLLM's cache in tokens, within 1.5 %", () => {
  it('of Qwen3-235B-A22B on four GPUs: 178,880 tokens in 8.11 GiB each (github.com/vllm-project/vllm/issues/21348)', () => {
    const shape = ofConfig({
      ...{ ...llama(4096, 94, 64, 4, 12_288, 151_936), model_type: 'qwen3_moe', head_dim: 128 },
      ...{ num_experts: 128, num_experts_per_tok: 8, moe_intermediate_size: 1536 },
    });
    const cache = {
      context: 178_880,
      numberBytes: 2,
      tensorParallel: 4,
      blockTokens: 16,
      batchedTokens: 2048,
      hybrid: true,
    };
    expect(Math.abs(sum(vllmLayerCaches(shape, cache)) / (8.11 * GiB) - 1)).toBeLessThanOrEqual(0.015);
  });

  it('of Llama-3.1-8B: 460,496 tokens in 56.21 GiB (a log of the second engine, 80 GB)', () => {
    const shape = ofConfig(llama(4096, 32, 32, 8, 14_336, 128_256));
    const cache = {
      context: 460_496,
      numberBytes: 2,
      tensorParallel: 1,
      blockTokens: 16,
      batchedTokens: 2048,
      hybrid: true,
    };
    expect(Math.abs(sum(vllmLayerCaches(shape, cache)) / (56.21 * GiB) - 1)).toBeLessThanOrEqual(0.015);
  });
});
