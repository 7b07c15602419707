import { describe, expect, it } from 'vitest';
import type { MemoryPlan } from '../../../../contract/memory.ts';
import { shapeOfConfig } from './config-shape.ts';
import { GiB, type GpuRoom, MiB, type Room } from './layout.ts';
import { memoryModel } from './options.ts';
import { figuresOf, planMemory } from './plan.ts';
import { type ModelShape, sum, totalWeightBytes } from './shape.ts';

/** Llama-3-8B's own tensors, as its safetensors files list them. */
function llama3Tensors(layers = 32) {
  const [hidden, kv, width, vocab] = [4096, 1024, 14_336, 128_256];
  const tensor = (name: string, ...shape: number[]) => ({
    name,
    shape,
    dtype: 'BF16',
    bytes: 2 * shape.reduce((product, size) => product * size, 1),
  });
  const ofLayer = (layer: number) => [
    tensor(`model.layers.${layer}.self_attn.q_proj.weight`, hidden, hidden),
    tensor(`model.layers.${layer}.self_attn.k_proj.weight`, kv, hidden),
    tensor(`model.layers.${layer}.self_attn.v_proj.weight`, kv, hidden),
    tensor(`model.layers.${layer}.self_attn.o_proj.weight`, hidden, hidden),
    tensor(`model.layers.${layer}.mlp.gate_proj.weight`, width, hidden),
    tensor(`model.layers.${layer}.mlp.up_proj.weight`, width, hidden),
    tensor(`model.layers.${layer}.mlp.down_proj.weight`, hidden, width),
    tensor(`model.layers.${layer}.input_layernorm.weight`, hidden),
    tensor(`model.layers.${layer}.post_attention_layernorm.weight`, hidden),
  ];
  return [
    tensor('model.embed_tokens.weight', vocab, hidden),
    ...Array.from({ length: layers }, (_, layer) => ofLayer(layer)).flat(),
    tensor('model.norm.weight', hidden),
    tensor('lm_head.weight', vocab, hidden),
  ];
}

const config = {
  model_type: 'llama',
  hidden_size: 4096,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  intermediate_size: 14_336,
  vocab_size: 128_256,
  max_position_embeddings: 8192,
};
const llama3 = shapeOfConfig({ config, tensors: llama3Tensors() }) as ModelShape;

const gpu = (totalGiB: number, availableGiB = totalGiB, name = 'NVIDIA L40S', uuid = `GPU-${totalGiB}`): GpuRoom => ({
  uuid,
  name,
  totalBytes: totalGiB * GiB,
  availableBytes: availableGiB * GiB,
});
const room = (...gpus: GpuRoom[]): Room => ({ gpus, host: { totalBytes: 256 * GiB, availableBytes: 200 * GiB } });
const vllm = (options: object, place: Room, version: string | null = null): MemoryPlan =>
  planMemory({ model: memoryModel({ engine: 'vllm', options }), shape: llama3, version, room: place });
const llamacpp = (options: object, place: Room, version: string | null = null): MemoryPlan =>
  planMemory({ model: memoryModel({ engine: 'llamacpp', options }), shape: llama3, version, room: place });
const part = (plan: MemoryPlan, kind: string, device = 0) =>
  plan.devices[device]?.parts.find((one) => one.kind === kind)?.bytes ?? 0;

describe('weights', () => {
  it('are 14.96 GiB of Llama-3-8B, as vLLM reported (github.com/vllm-project/vllm/pull/10511)', () => {
    expect(totalWeightBytes(llama3.weights) / GiB).toBeCloseTo(14.96, 2);
  });

  it('are 7.48 GiB on each of two GPUs (same source)', () => {
    const plan = vllm({ tensor_parallel_size: 2 }, room(gpu(80), gpu(80)));
    expect([part(plan, 'weights', 0) / GiB, part(plan, 'weights', 1) / GiB]).toEqual([
      expect.closeTo(7.48, 2),
      expect.closeTo(7.48, 2),
    ]);
  });

  it('leave out layers that only guess further tokens', () => {
    const more = shapeOfConfig({ config, tensors: llama3Tensors(33) }) as ModelShape;
    expect(totalWeightBytes(more.weights)).toBe(totalWeightBytes(llama3.weights));
  });

  it('of 32 bits are read in 16, as vLLM does', () => {
    const tensors = llama3Tensors().map((tensor) => ({ ...tensor, dtype: 'F32', bytes: tensor.bytes * 2 }));
    const shape = shapeOfConfig({ config, tensors }) as ModelShape;
    const plan = planMemory({
      model: memoryModel({ engine: 'vllm', options: {} }),
      shape,
      version: null,
      room: room(gpu(80)),
    });
    expect(part(plan, 'weights') / GiB).toBeCloseTo(14.96, 2);
  });
});

describe('vLLM', () => {
  it('fills its share of the GPU, and the rest of the cache is a reserve for more requests', () => {
    const plan = vllm({}, room(gpu(80)), '0.7.3');
    expect(plan.fits).toBe(true);
    expect(plan.suggestions).toEqual([]);
    const { graphs, driver, ...inside } = Object.fromEntries(
      plan.devices[0]?.parts.map(({ kind, bytes }) => [kind, bytes]) ?? [],
    );
    // Graphs and CUDA itself come on top of the share.
    expect(sum(Object.values(inside)) / (80 * GiB)).toBeCloseTo(0.9, 3);
    expect((graphs ?? 0) + (driver ?? 0)).toBeGreaterThan(0.5 * GiB);
    expect(part(plan, 'kv_cache')).toBe(8192 * 131_072);
  });

  it('leaves 53.29 GiB of cache on an H100, as reported with 1.79 GiB of other memory (github.com/vllm-project/vllm/pull/10511)', () => {
    const { kv_cache } = figuresOf(vllm({}, room(gpu(79.22)), '0.6.6'));
    // The plan has 0.2 GiB of other memory: newer versions no longer count what others hold.
    expect(((kv_cache ?? 0) - (1.79 - 0.2) * GiB) / GiB).toBeCloseTo(53.29, 1);
  });

  it('does not start where the share leaves no room for one request, and says what to change', () => {
    const plan = vllm({ max_model_len: 65_536 }, room(gpu(24)));
    expect(plan).toMatchObject({ fits: false, reason: expect.stringContaining('less than the cache of one request') });
    expect(plan.largest_context).toBe(8192);
    expect(plan.suggestions.map(({ options }) => options)).toContainEqual({ max_model_len: 8192 });
    for (const { options } of plan.suggestions)
      expect(vllm({ max_model_len: 65_536, ...options }, room(gpu(24))).fits, JSON.stringify(options)).toBe(true);
  });

  it('takes less of a GPU that others use when told so', () => {
    const plan = vllm({}, room(gpu(80, 40)));
    expect(plan.fits).toBe(false);
    const [first] = plan.suggestions;
    expect(first?.options).toEqual({ gpu_memory_utilization: 0.48 });
    expect(vllm({ gpu_memory_utilization: 0.48 }, room(gpu(80, 40))).fits).toBe(true);
  });

  it('can split only by a number that divides the heads, over GPUs that are there', () => {
    const three = room(gpu(24), gpu(24), gpu(24));
    expect(vllm({ tensor_parallel_size: 3 }, three)).toMatchObject({
      fits: false,
      reason: "The 32 attention heads can't be split over 3 GPUs.",
    });
    expect(vllm({ tensor_parallel_size: 2 }, room(gpu(24))).reason).toBe('It needs 2 GPUs; 1 can be used.');
    expect(vllm({}, room()).reason).toBe('vLLM needs an NVIDIA GPU, and none was seen.');
  });

  it('keeps at least one KV head on each GPU', () => {
    const gpus = Array.from({ length: 16 }, () => gpu(80));
    const [eight, sixteen] = [8, 16].map((size) =>
      part(vllm({ tensor_parallel_size: size }, room(...gpus)), 'kv_cache'),
    );
    expect(eight).toBe(8192 * (131_072 / 8));
    expect(sixteen).toBe(eight);
  });

  it('puts half of the layers on each of two stages, the ends where they belong', () => {
    const plan = vllm({ pipeline_parallel_size: 2 }, room(gpu(80), gpu(80)));
    const [first, second] = [part(plan, 'weights', 0), part(plan, 'weights', 1)];
    expect(Math.abs(first - second)).toBeLessThan(MiB);
    expect((first + second) / GiB).toBeCloseTo(14.96, 2);
    expect(part(plan, 'kv_cache', 0)).toBe((8192 * 131_072) / 2);
  });

  it('keeps weights in main memory where it is told to', () => {
    const plan = vllm({ cpu_offload_gb: 4 }, room(gpu(24)));
    expect(part(plan, 'weights') / GiB).toBeCloseTo(10.96, 2);
    const host = plan.devices.find(({ device }) => device === 'host');
    expect(host?.planned_bytes).toBe(4 * GiB);
  });

  it('holds twice as many tokens in 8 bits', () => {
    const [whole, half] = [{}, { kv_cache_dtype: 'fp8' }].map((options) => vllm(options, room(gpu(80))).full_requests);
    expect((half ?? 0) / (whole ?? 1)).toBeCloseTo(2, 2);
  });

  it("can't tell where nobody knows the GPUs, and still shows what one request needs", () => {
    const plan = vllm({}, { gpus: null, host: null });
    expect(plan).toMatchObject({
      fits: null,
      largest_context: null,
      reason: 'How much memory the GPUs have is not known.',
    });
    expect(part(plan, 'weights')).toBeGreaterThan(14 * GiB);
  });
});

describe('llama.cpp', () => {
  it('keeps the embedding in main memory and all else on the GPU', () => {
    const plan = llamacpp({ context_size: 8192, parallel: 1, flash_attention: 'off' }, room(gpu(24)));
    expect(plan.fits).toBe(true);
    expect(part(plan, 'kv_cache')).toBe(1024 * MiB);
    expect(part(plan, 'activations')).toBe(560 * MiB);
    const host = plan.devices.at(-1);
    expect(host).toMatchObject({ device: 'host', name: 'Main memory' });
    expect(part(plan, 'weights', 1)).toBe(128_256 * 4096 * 2);
  });

  it('runs on the CPU where there is no GPU, and says so', () => {
    const plan = llamacpp({ context_size: 8192, parallel: 1 }, room());
    expect(plan.devices.map(({ device }) => device)).toEqual(['host']);
    expect(plan).toMatchObject({
      fits: true,
      notes: expect.arrayContaining(['No GPU was seen: the model runs on the CPU.']),
    });
    expect(part(plan, 'weights') / GiB).toBeCloseTo(14.96, 2);
  });

  it('divides layers and their cache by the parts that are asked for', () => {
    const plan = llamacpp({ context_size: 8192, parallel: 1, tensor_split: [3, 1] }, room(gpu(24), gpu(24)));
    const [first, second] = [part(plan, 'kv_cache', 0), part(plan, 'kv_cache', 1)];
    expect(first + second).toBe(1024 * MiB);
    expect(first / (first + second)).toBeCloseTo(0.77, 1);
  });

  it('leaves layers and their cache in main memory: 44.00 of 64.00 MiB for 22 of 32 layers (github.com/ggml-org/llama.cpp/issues/4381)', () => {
    const plan = llamacpp({ context_size: 512, parallel: 1, gpu_layers: 22 }, room(gpu(48)));
    expect(part(plan, 'kv_cache', 0)).toBe(44 * MiB);
    expect(part(plan, 'kv_cache', 1)).toBe(20 * MiB);
  });

  it('shortens an open context by itself in newer builds, and not in older ones', () => {
    const newer = llamacpp({ gpu_layers: 999, parallel: 1 }, room(gpu(15.2)), 'b9000');
    expect(newer.fits).toBe(true);
    expect(newer.context).toBeLessThan(8192);
    expect(llamacpp({ gpu_layers: 999, context_size: 8192 }, room(gpu(15.2)), 'b9000').fits).toBe(false);
    expect(llamacpp({ gpu_layers: 999, context_size: 8192 }, room(gpu(15)), 'b7000').fits).toBe(false);
  });

  it('moves layers off the GPU by itself where they were left open', () => {
    const plan = llamacpp({ parallel: 1 }, room(gpu(8)), 'b9000');
    expect(plan.fits).toBe(true);
    expect(plan.notes[0]).toMatch(/keeps \d+ of 33 layers on the GPU/);
  });

  it('names changes that fit, each tried', () => {
    const asked = { context_size: 8192, parallel: 1, gpu_layers: 99 };
    const plan = llamacpp(asked, room(gpu(15)), 'b7000');
    expect(plan.fits).toBe(false);
    const names = plan.suggestions.map(({ options }) => Object.keys(options).join());
    expect(names.length).toBeGreaterThan(1);
    expect(new Set(names).size).toBe(names.length);
    for (const { options } of plan.suggestions)
      expect(llamacpp({ ...asked, ...options }, room(gpu(15)), 'b7000').fits, JSON.stringify(options)).toBe(true);
  });

  it('does not fit where main memory is too small', () => {
    const plan = llamacpp({ context_size: 4096 }, { gpus: [], host: { totalBytes: 8 * GiB, availableBytes: 6 * GiB } });
    expect(plan).toMatchObject({ fits: false, reason: expect.stringContaining('Main memory') });
  });
});

describe('a configuration', () => {
  it('that leaves out what its class knows is read from the tensors', () => {
    const shape = shapeOfConfig({
      config: {
        model_type: 'gemma3',
        text_config: { model_type: 'gemma3_text', hidden_size: 2560, num_hidden_layers: 2, sliding_window: 1024 },
      },
      tensors: [
        { name: 'language_model.model.layers.0.self_attn.q_norm.weight', dtype: 'BF16', shape: [256], bytes: 512 },
        { name: 'language_model.model.layers.0.self_attn.q_proj.weight', dtype: 'BF16', shape: [2048, 2560], bytes: 1 },
        { name: 'language_model.model.layers.0.self_attn.k_proj.weight', dtype: 'BF16', shape: [1024, 2560], bytes: 1 },
        {
          name: 'vision_tower.vision_model.encoder.layers.0.self_attn.k_proj.weight',
          dtype: 'BF16',
          shape: [9, 9],
          bytes: 7,
        },
      ],
    });
    expect(shape).toMatchObject({ heads: 8, layers: [{ kvHeads: 4, keySize: 256, window: 1024 }, {}] });
    expect(shape?.weights.otherBytes).toBe(7);
  });

  it.each([
    null,
    [],
    'text',
    {},
    { hidden_size: 'a' },
    { hidden_size: 4096, num_hidden_layers: 1e12 },
    { hidden_size: -1, num_hidden_layers: 2 },
  ])('that is none gives no shape: %j', (broken) => expect(shapeOfConfig({ config: broken, tensors: [] })).toBeNull());
});
