import type { MemorySuggestion } from '../../../../contract/memory.ts';
import { fitsOf, GiB, type Layout } from './layout.ts';
import { memoryModel } from './options.ts';
import { layoutOf, type PlanQuestion } from './question.ts';
import { vllmUtilization } from './vllm-layout.ts';

const mostSuggestions = 4;

/** Changes of options that make it fit, each tried out: the mildest first. */
export function suggestionsFor(question: PlanQuestion, layout: Layout, largest: number | null): MemorySuggestion[] {
  const candidates =
    question.model.engine === 'vllm' ? vllmChanges(question, layout, largest) : llamacppChanges(question, largest);
  const found: MemorySuggestion[] = [];
  for (const candidate of candidates) {
    if (found.length === mostSuggestions) break;
    // A stronger change of the same options has nothing to add.
    if (found.some(({ options }) => sameNames(options, candidate.options))) continue;
    if (fitsOf(layoutOf({ ...question, model: memoryModel(question.model, candidate.options) })) === true)
      found.push(candidate);
  }
  return found;
}

const sameNames = (a: object, b: object): boolean => Object.keys(a).join() === Object.keys(b).join();

function* vllmChanges(question: PlanQuestion, layout: Layout, largest: number | null): Generator<MemorySuggestion> {
  const { model, shape, room } = question;
  if (model.engine !== 'vllm') return;
  const { options } = model;
  const gpus = room.gpus ?? [];
  const tight = layout.devices.find(
    ({ device, planned_bytes, available_bytes }) =>
      device === 'gpu' && available_bytes !== null && planned_bytes > available_bytes,
  );
  if (tight?.total_bytes && tight.available_bytes !== null) {
    const share = Math.floor(((tight.available_bytes - GiB) / tight.total_bytes) * 100) / 100;
    if (share >= 0.05 && share < vllmUtilization(model))
      yield {
        text: `Let vLLM take ${Math.round(share * 100)} % of each GPU.`,
        options: { gpu_memory_utilization: share },
      };
  }
  if (largest !== null && largest > 0)
    yield { text: `Shorten the context to ${largest} tokens.`, options: { max_model_len: largest } };
  if (vllmUtilization(model) < 0.95)
    yield { text: 'Let vLLM take 95 % of each GPU.', options: { gpu_memory_utilization: 0.95 } };
  if ((options.kv_cache_dtype ?? 'auto') === 'auto')
    yield { text: 'Keep the cache in 8 bits, at some loss of quality.', options: { kv_cache_dtype: 'fp8' } };
  if ((options.max_num_seqs ?? 256) > 32)
    yield { text: 'Answer up to 32 requests at the same time.', options: { max_num_seqs: 32 } };
  const now = options.tensor_parallel_size ?? 1;
  const stages = (options.pipeline_parallel_size ?? 1) * (options.data_parallel_size ?? 1);
  for (let parallel = 1; parallel * stages <= gpus.length; parallel++) {
    if (parallel !== now && shape.heads % parallel === 0)
      yield { text: `Split each layer over ${parallel} GPUs.`, options: { tensor_parallel_size: parallel } };
  }
  if (shape.weightNumberBytes !== null && options.quantization === null)
    yield { text: 'Load the weights in 8 bits, at some loss of quality.', options: { quantization: 'fp8' } };
  for (const offload of [2, 4, 8, 16, 32, 64]) {
    yield {
      text: `Keep ${offload} GiB of each GPU's weights in main memory; answers get slower.`,
      options: { cpu_offload_gb: (options.cpu_offload_gb ?? 0) + offload },
    };
  }
}

function* llamacppChanges({ model, shape, room }: PlanQuestion, largest: number | null): Generator<MemorySuggestion> {
  if (model.engine !== 'llamacpp') return;
  const { options } = model;
  if (largest !== null && largest > 0)
    yield { text: `Shorten the context to ${largest} tokens.`, options: { context_size: largest } };
  if ((options.cache_type_k ?? 'f16') === 'f16')
    yield {
      text: 'Keep the cache in 8 bits.',
      options: { cache_type_k: 'q8_0', cache_type_v: 'q8_0', flash_attention: 'on' },
    };
  if ((room.gpus?.length ?? 0) === 0) return;
  if (shape.experts !== null && options.cpu_moe !== true)
    yield { text: 'Keep the experts in main memory; answers get slower.', options: { cpu_moe: true } };
  // The first that fits is the most: each suggestion is tried, and the rest of these would only be slower.
  for (let layers = shape.layers.length; layers >= 0; layers--) {
    if (layers >= (options.gpu_layers ?? Number.POSITIVE_INFINITY)) continue;
    yield {
      text: `Keep ${layers} layers on the GPU; the others are computed by the CPU.`,
      options: { gpu_layers: layers },
    };
  }
}
