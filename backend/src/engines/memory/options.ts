import { z } from 'zod';
import type { NewModel } from '../../../../contract/models.ts';

const number = z.number().nullable().default(null);
const text = z.string().nullable().default(null);
const yes = z.boolean().nullable().default(null);

/** The options that memory depends on; the others are left out. What a table's schema has checked is read with its types. */
const vllmMemoryOptions = z.object({
  max_model_len: number,
  gpu_memory_utilization: number,
  kv_cache_dtype: text,
  kv_cache_memory_bytes: number,
  block_size: number,
  swap_space: number,
  cpu_offload_gb: number,
  kv_offloading_size: number,
  tensor_parallel_size: number,
  pipeline_parallel_size: number,
  data_parallel_size: number,
  max_num_seqs: number,
  max_num_batched_tokens: number,
  enable_chunked_prefill: yes,
  enforce_eager: yes,
  dtype: text,
  quantization: text,
  speculative_config: z.record(z.string(), z.unknown()).nullable().default(null),
});
export type VllmMemoryOptions = z.infer<typeof vllmMemoryOptions>;

const llamacppMemoryOptions = z.object({
  context_size: number,
  batch_size: number,
  ubatch_size: number,
  flash_attention: text,
  cache_type_k: text,
  cache_type_v: text,
  kv_offload: yes,
  kv_unified: yes,
  swa_full: yes,
  cache_ram: number,
  gpu_layers: number,
  fit: text,
  split_mode: text,
  tensor_split: z.array(z.number()).nullable().default(null),
  main_gpu: number,
  cpu_moe: yes,
  n_cpu_moe: number,
  parallel: number,
  mmproj: text,
  draft_model: text,
});
export type LlamacppMemoryOptions = z.infer<typeof llamacppMemoryOptions>;

/** The part of a model that its memory depends on. */
export type MemoryModel =
  | { readonly engine: 'vllm'; readonly options: VllmMemoryOptions }
  | { readonly engine: 'llamacpp'; readonly options: LlamacppMemoryOptions };

/** A model as the planner reads it, with changes of its options where some are to be tried. */
export function memoryModel(
  { engine, options }: Pick<NewModel, 'engine'> & { readonly options: object },
  changes: Readonly<Record<string, unknown>> = {},
): MemoryModel {
  const all = { ...options, ...changes };
  return engine === 'vllm'
    ? { engine, options: vllmMemoryOptions.parse(all) }
    : { engine, options: llamacppMemoryOptions.parse(all) };
}
