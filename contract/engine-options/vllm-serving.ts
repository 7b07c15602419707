import { choice, type EngineOption, integer, name, number, pairOf, toggle } from './option.ts';

const memory = 'Context and memory';
const parallel = 'GPUs';
const scheduling = 'Scheduling';

/**
 * Memory, GPUs and scheduling of vLLM, 0.6.3 to 0.29.0.
 * Sources: the engine-argument pages of docs.vllm.ai for 0.6.3.post1, 0.6.6.post1, 0.8.1 and 0.8.5; vllm/engine/arg_utils.py as of
 * 0.6.4, 0.7.3 and 0.11.1 (commits 001999d, 99d7eb5); `--help` of 0.8.3; the flag lists of 0.26.0, 0.27.1 and 0.29.0 that
 * runpod-workers/worker-vllm dumps from the images; pull requests 36216 (swap space), 28006 (RoPE), 29326 and 29402 of vllm-project/vllm.
 * A bound that lies between two sources is an estimate from the date of the change. The image's own `--help` goes before this table.
 */
export const vllmServing = {
  max_model_len: integer('--max-model-len', 1, 10_000_000, {
    group: memory,
    unit: 'tokens',
    standard: null,
    essential: true,
    help: 'Longest context of one request, prompt and answer together. A shorter one leaves room for more requests.',
  }),
  gpu_memory_utilization: number('--gpu-memory-utilization', 0.05, 0.98, {
    group: memory,
    unit: 'share of each GPU',
    standard: 0.9,
    essential: true,
    help: 'How much of the GPU memory vLLM may take for weights, cache and graphs together.',
  }),
  kv_cache_dtype: choice('--kv-cache-dtype', ['auto', 'fp8', 'fp8_e4m3', 'fp8_e5m2'], {
    group: memory,
    standard: 'auto',
    help: 'Number type of the KV cache. The fp8 ones hold twice as many tokens in the same memory, at some loss of quality.',
  }),
  kv_cache_memory_bytes: integer([{ form: 'value', flag: '--kv-cache-memory-bytes', since: '0.11.0' }], 1, 2 ** 44, {
    group: memory,
    unit: 'bytes per GPU',
    standard: null,
    help: 'A fixed size of the KV cache; the share of GPU memory then no longer decides it.',
  }),
  block_size: integer('--block-size', 1, 256, {
    group: memory,
    unit: 'tokens',
    standard: null,
    help: 'Tokens in one block of the KV cache. CUDA takes 8, 16 or 32 in the older versions.',
  }),
  swap_space: number([{ form: 'value', flag: '--swap-space', until: '0.18.0' }], 0, 1024, {
    group: memory,
    unit: 'GiB per GPU',
    standard: 4,
    help: 'Main memory for the cache of requests that were set aside. Newer versions compute them again instead.',
  }),
  cpu_offload_gb: number('--cpu-offload-gb', 0, 1024, {
    group: memory,
    unit: 'GiB per GPU',
    standard: 0,
    help: 'Weights kept in main memory and read over the bus at each step: a larger model fits, and answers slower.',
  }),
  kv_offloading_size: number([{ form: 'value', flag: '--kv-offloading-size', since: '0.12.0' }], 0, 4096, {
    group: memory,
    unit: 'GiB',
    standard: null,
    help: 'Main memory that keeps KV cache blocks which the GPU had to give up.',
  }),
  enable_prefix_caching: toggle(
    [
      { form: 'switch', flag: '--enable-prefix-caching', until: '0.7.0' },
      pairOf('--enable-prefix-caching', { since: '0.7.0' }),
    ],
    {
      group: memory,
      standard: null,
      essential: true,
      help: 'Keep what was computed for a common beginning of prompts. Off by default up to 0.7, on with the V1 engine.',
    },
  ),
  prefix_caching_hash_algo: choice(
    [{ form: 'value', flag: '--prefix-caching-hash-algo', since: '0.8.3' }],
    ['sha256', 'sha256_cbor'],
    { group: memory, standard: null, help: 'Hash that tells cached beginnings apart.' },
  ),
  calculate_kv_scales: toggle(
    [
      { form: 'switch', flag: '--calculate-kv-scales', since: '0.7.2', until: '0.9.0' },
      pairOf('--calculate-kv-scales', { since: '0.9.0', until: '0.29.0' }),
    ],
    {
      group: memory,
      standard: false,
      help: 'Work out the scales of an fp8 KV cache while running, where the model brings none.',
    },
  ),
  num_gpu_blocks_override: integer('--num-gpu-blocks-override', 1, 100_000_000, {
    group: memory,
    unit: 'blocks',
    standard: null,
    help: 'Number of cache blocks in place of the one that was measured; for tests.',
  }),
  tensor_parallel_size: integer('--tensor-parallel-size', 1, 64, {
    group: parallel,
    unit: 'GPUs',
    standard: 1,
    essential: true,
    help: 'GPUs over which each layer of the model is split.',
  }),
  pipeline_parallel_size: integer('--pipeline-parallel-size', 1, 64, {
    group: parallel,
    unit: 'stages',
    standard: 1,
    help: 'Groups of GPUs that each hold a part of the layers.',
  }),
  data_parallel_size: integer([{ form: 'value', flag: '--data-parallel-size', since: '0.8.3' }], 1, 64, {
    group: parallel,
    unit: 'replicas',
    standard: 1,
    help: 'Copies of the model in one engine; each needs its own GPUs.',
  }),
  enable_expert_parallel: toggle(
    [
      { form: 'switch', flag: '--enable-expert-parallel', since: '0.8.0', until: '0.9.0' },
      pairOf('--enable-expert-parallel', { since: '0.9.0' }),
    ],
    { group: parallel, standard: false, help: 'Give each GPU whole experts of a mixture-of-experts model.' },
  ),
  distributed_executor_backend: choice('--distributed-executor-backend', ['mp', 'ray'], {
    group: parallel,
    standard: null,
    help: 'How the processes of several GPUs are run. On one machine: mp.',
  }),
  disable_custom_all_reduce: toggle(
    [
      { form: 'switch', flag: '--disable-custom-all-reduce', until: '0.9.0' },
      pairOf('--disable-custom-all-reduce', { since: '0.9.0' }),
    ],
    {
      group: parallel,
      standard: false,
      help: "Use NCCL in place of vLLM's own exchange between GPUs; for machines on which that hangs.",
    },
  ),
  max_parallel_loading_workers: integer('--max-parallel-loading-workers', 1, 64, {
    group: parallel,
    unit: 'GPUs',
    standard: null,
    help: 'GPUs that read weights at the same time, to spare main memory.',
  }),
  max_num_seqs: integer('--max-num-seqs', 1, 4096, {
    group: scheduling,
    unit: 'requests',
    standard: null,
    essential: true,
    help: 'Requests answered at the same time; further ones wait.',
  }),
  max_num_batched_tokens: integer('--max-num-batched-tokens', 1, 1_000_000, {
    group: scheduling,
    unit: 'tokens',
    standard: null,
    help: 'Tokens computed in one step. More read prompts faster and let running answers wait longer.',
  }),
  enable_chunked_prefill: toggle(
    [
      { form: 'word', flag: '--enable-chunked-prefill', until: '0.9.0' },
      pairOf('--enable-chunked-prefill', { since: '0.9.0' }),
    ],
    {
      group: scheduling,
      standard: null,
      help: 'Read long prompts in pieces between the steps of running answers.',
    },
  ),
  scheduling_policy: choice('--scheduling-policy', ['fcfs', 'priority'], {
    group: scheduling,
    standard: 'fcfs',
    help: 'Which waiting request comes next: the oldest, or the one with the lowest priority number.',
  }),
  num_scheduler_steps: integer([{ form: 'value', flag: '--num-scheduler-steps', until: '0.10.0' }], 1, 128, {
    group: scheduling,
    unit: 'steps',
    standard: 1,
    help: 'Steps per round of the scheduler, in the first engine (V0).',
  }),
  long_prefill_token_threshold: integer(
    [{ form: 'value', flag: '--long-prefill-token-threshold', since: '0.8.0' }],
    0,
    1_000_000,
    { group: scheduling, unit: 'tokens', standard: 0, help: 'From how many tokens on a prompt counts as long.' },
  ),
  max_num_partial_prefills: integer(
    [{ form: 'value', flag: '--max-num-partial-prefills', since: '0.8.0', until: '0.27.0' }],
    1,
    256,
    { group: scheduling, unit: 'prompts', standard: 1, help: 'Prompts that may be read in pieces at the same time.' },
  ),
  max_long_partial_prefills: integer(
    [{ form: 'value', flag: '--max-long-partial-prefills', since: '0.8.0', until: '0.27.0' }],
    1,
    256,
    {
      group: scheduling,
      unit: 'prompts',
      standard: 1,
      help: 'How many of those may be long, so that short ones pass.',
    },
  ),
  async_scheduling: toggle(
    [
      { form: 'switch', flag: '--async-scheduling', since: '0.10.0', until: '0.11.0' },
      pairOf('--async-scheduling', { since: '0.11.0' }),
    ],
    { group: scheduling, standard: null, help: 'Plan the next step while the GPU computes this one.' },
  ),
  stream_interval: integer([{ form: 'value', flag: '--stream-interval', since: '0.12.0' }], 1, 1024, {
    group: scheduling,
    unit: 'tokens',
    standard: 1,
    help: 'Tokens that are sent together in a stream.',
  }),
  attention_backend: name([{ form: 'value', flag: '--attention-backend', since: '0.12.0' }], {
    group: scheduling,
    standard: null,
    help: 'Attention kernels to use, such as FLASH_ATTN, FLASHINFER or TRITON_ATTN.',
  }),
} as const satisfies Record<string, EngineOption>;
