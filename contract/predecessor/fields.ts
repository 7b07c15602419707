import type { Engine } from '../models.ts';

/** What a field of the Python Cortex means here. Values that are null or empty are never asked. */
export type Meaning =
  /** An option. `read` gives its value; undefined where the value has no place here, for the reason `unless`. */
  | { readonly option: string; readonly read?: (value: unknown) => unknown; readonly unless?: string }
  /** A variable of the engine's environment. */
  | { readonly variable: string; readonly value?: string }
  /** A further argument of the engine. */
  | { readonly argument: string }
  /** A file below the models folder, for an option whose file is below the model's own. */
  | { readonly file: string }
  | { readonly leftOut: string }
  | { readonly refused: string };

const not = (value: unknown): unknown => (typeof value === 'boolean' ? !value : value);
const onOff = (value: unknown): unknown => (typeof value === 'boolean' ? (value ? 'on' : 'off') : value);
const above =
  (bound: number) =>
  (value: unknown): unknown =>
    Number(value) > bound ? value : undefined;
const numbers = (value: unknown): unknown =>
  typeof value === 'string'
    ? value
        .split(/[\s,]+/)
        .filter(Boolean)
        .map(Number)
    : value;
const json = (value: unknown): unknown => {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
};

const old = 'It belongs to the installation that it comes from.';
const image = 'Which image an engine runs is set for all models: VLLM_IMAGE and LLAMACPP_IMAGE.';
const request = 'What requests get by default is set for the served name, on the page Routing.';
const secret = 'It is a secret: give it where it is needed.';

const common: Readonly<Record<string, Meaning>> = {
  ...Object.fromEntries(
    ['id', 'model_id', 'state', 'archived', 'port', 'container_name', 'created_at', 'updated_at'].map((name) => [
      name,
      { leftOut: old },
    ]),
  ),
  engine_image: { leftOut: image },
  engine_version: { leftOut: image },
  engine_digest: { leftOut: image },
  selected_gpus: { leftOut: 'Which GPUs a model gets is chosen when the model is made.' },
  startup_timeout_sec: { leftOut: 'How long a start may take is set for all models: MODEL_START_TIMEOUT_SECONDS.' },
  request_defaults_json: { leftOut: request },
  custom_request_json: { leftOut: request },
  request_timeout_sec: { leftOut: request },
  stream_timeout_sec: { leftOut: request },
  frequency_penalty: { leftOut: request },
  presence_penalty: { leftOut: request },
  hf_token: { leftOut: secret },
  repo_id: { leftOut: 'Models are served from a folder: download it there first.' },
  entrypoint_override: { refused: 'Cortex decides what runs in the container of an engine.' },
  seed: { option: 'seed' },
};

const vllm: Readonly<Record<string, Meaning>> = {
  ...Object.fromEntries(
    [
      ...['dtype', 'gpu_memory_utilization', 'max_model_len', 'kv_cache_dtype', 'kv_cache_memory_bytes', 'block_size'],
      ...['max_num_batched_tokens', 'enforce_eager', 'trust_remote_code', 'enable_prefix_caching', 'max_num_seqs'],
      ...['prefix_caching_hash_algo', 'enable_chunked_prefill', 'tokenizer_mode', 'load_format', 'reasoning_parser'],
      ...['enable_expert_parallel', 'distributed_executor_backend', 'async_scheduling', 'attention_backend'],
      ...['enable_sleep_mode', 'generation_config', 'enable_auto_tool_choice', 'tool_call_parser', 'enable_lora'],
      ...['max_loras', 'max_lora_rank', 'max_cpu_loras'],
    ].map((name) => [name, { option: name }]),
  ),
  quantization: {
    option: 'quantization',
    read: (value) => (value === 'int8' ? undefined : value),
    unless: 'vLLM has no quantization of this name.',
  },
  tp_size: { option: 'tensor_parallel_size' },
  pipeline_parallel_size: { option: 'pipeline_parallel_size' },
  data_parallel_size: { option: 'data_parallel_size' },
  swap_space_gb: { option: 'swap_space' },
  cpu_offload_gb: { option: 'cpu_offload_gb', read: above(0), unless: 'It is off.' },
  max_log_len: { option: 'max_log_len', read: above(0), unless: 'It is off.' },
  cuda_graph_sizes: { option: 'cudagraph_capture_sizes', read: numbers },
  hf_overrides_json: { option: 'hf_overrides', read: json },
  compilation_config_json: { option: 'compilation_config', read: json },
  override_generation_config_json: { option: 'override_generation_config', read: json },
  structured_outputs_config_json: { option: 'structured_outputs_config', read: json },
  limit_mm_per_prompt_json: { option: 'limit_mm_per_prompt', read: json },
  speculative_config_json: { option: 'speculative_config', read: json },
  disable_log_requests: { option: 'log_requests', read: not },
  enable_log_requests: { option: 'log_requests' },
  disable_log_stats: { option: 'log_stats', read: not },
  chat_template: { file: 'chat_template' },
  tokenizer: { file: 'tokenizer' },
  hf_config_path: { refused: 'vLLM reads config.json from the folder of the model.' },
  device: { leftOut: 'The image of vLLM decides on which device it runs.' },
  lora_modules_json: { refused: 'Adapters that are served under names of their own have no place here yet.' },
  vllm_v1_enabled: { leftOut: 'vLLM has but the one engine since 0.11.' },
  gguf_weight_format: { leftOut: 'vLLM never had an option of this name.' },
  debug_logging: { variable: 'VLLM_LOGGING_LEVEL', value: 'DEBUG' },
  trace_mode: { variable: 'VLLM_TRACE_FUNCTION', value: '1' },
  engine_request_timeout: { variable: 'VLLM_ENGINE_ITERATION_TIMEOUT_S' },
  temperature: { leftOut: request },
  top_k: { leftOut: request },
  top_p: { leftOut: request },
  repetition_penalty: { leftOut: request },
};

const llamacpp: Readonly<Record<string, Meaning>> = {
  ...Object.fromEntries(
    [
      ...['batch_size', 'ubatch_size', 'threads', 'threads_http', 'context_size', 'rope_freq_base', 'rope_freq_scale'],
      ...['main_gpu', 'split_mode', 'load_mode', 'kv_unified', 'cache_type_k', 'cache_type_v', 'cont_batching'],
      ...['cache_reuse', 'context_shift', 'n_cpu_moe', 'reasoning_format', 'reasoning_budget', 'n_predict', 'pooling'],
      ...['spec_type', 'draft_p_min', 'mmproj_offload', 'check_tensors', 'lora_init_without_apply', 'temperature'],
      ...['top_k', 'top_p', 'chat_template'],
    ].map((name) => [name, { option: name }]),
  ),
  ngl: { option: 'gpu_layers' },
  parallel_slots: { option: 'parallel' },
  tensor_split: { option: 'tensor_split', read: numbers },
  flash_attention: { option: 'flash_attention', read: onOff },
  flash_attn: { option: 'flash_attention' },
  fit_memory: { option: 'fit', read: onOff },
  numa_policy: { option: 'numa' },
  jinja_enabled: { option: 'jinja' },
  chat_template_kwargs_json: { option: 'chat_template_kwargs', read: json },
  skip_warmup: { option: 'warmup', read: not },
  defrag_thold: { option: 'defrag_thold' },
  draft_n: { option: 'draft_max' },
  spec_draft_n_min: { option: 'draft_min' },
  spec_draft_ngl: { option: 'draft_gpu_layers' },
  repetition_penalty: { option: 'repeat_penalty' },
  verbose_logging: { option: 'log_verbosity', read: (value) => (value === true ? 4 : undefined), unless: 'It is off.' },
  chat_template_file: { file: 'chat_template_file' },
  draft_model_path: { file: 'draft_model' },
  mmproj: { file: 'mmproj' },
  override_tensor: { argument: '--override-tensor' },
  kv_unified_per_slot: { argument: '--kv-unified-per-slot' },
  grammar_file: { refused: 'A grammar comes with the request that needs it.' },
  rerank: { refused: 'Models that rerank have no task of their own yet.' },
  system_prompt: { refused: 'llama.cpp has no system prompt of its own any more: it comes with the request.' },
};

/** What a field of the Python Cortex means for an engine; null where nobody knows it. */
export function meaningOf(engine: Engine, field: string): Meaning | null {
  const [own, other] = engine === 'vllm' ? [vllm, llamacpp] : [llamacpp, vllm];
  const meaning =
    (Object.hasOwn(own, field) ? own[field] : undefined) ?? (Object.hasOwn(common, field) ? common[field] : undefined);
  if (meaning !== undefined) return meaning;
  return Object.hasOwn(other, field) ? { leftOut: 'It is of the other engine.' } : null;
}

/** Every field that is known, for the documentation. */
export const knownFields = (engine: Engine): string[] =>
  Object.keys({ ...common, ...(engine === 'vllm' ? vllm : llamacpp) });
