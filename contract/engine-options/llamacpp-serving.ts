import { choice, type EngineOption, integer, number, pairOf, structured, toggle } from './option.ts';

const memory = 'Context and memory';
const gpus = 'GPUs';
const cpu = 'CPU';
const scheduling = 'Scheduling';
const cacheTypes = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0', 'q4_1', 'iq4_nl', 'q5_0', 'q5_1'];

/**
 * Memory, devices and scheduling of llama.cpp's server.
 * Sources: tools/server/README.md of ggml-org/llama.cpp (its generated list of arguments, commit 00dc805), and for what drifted
 * the pull requests 15746 (flash attention takes a value), 16391 (prompt cache in main memory) and 20834 (load mode).
 * llama.cpp is numbered by build, and no source here names the build of a change: the bounds are estimates from the dates of the
 * changes. They only count where an image does not answer; its own `--help` goes before this table.
 */
export const llamacppServing = {
  context_size: integer('--ctx-size', 0, 10_000_000, {
    group: memory,
    unit: 'tokens',
    standard: null,
    essential: true,
    help: "Context shared by all slots; 0 takes the model's own. Each request gets its share of it.",
  }),
  batch_size: integer('--batch-size', 1, 65_536, {
    group: memory,
    unit: 'tokens',
    standard: 2048,
    help: 'Tokens of prompts that are handed over together.',
  }),
  ubatch_size: integer('--ubatch-size', 1, 65_536, {
    group: memory,
    unit: 'tokens',
    standard: 512,
    help: 'Tokens computed in one step. An embedding model needs as many as its longest input has.',
  }),
  flash_attention: choice(
    [
      { form: 'map', words: { on: ['--flash-attn'], off: [], auto: [] }, until: 'b6325' },
      { form: 'value', flag: '--flash-attn', since: 'b6325' },
    ],
    ['auto', 'on', 'off'],
    {
      group: memory,
      standard: null,
      essential: true,
      help: 'Attention that needs less memory. Older builds only know on, and leave it off otherwise.',
    },
  ),
  cache_type_k: choice('--cache-type-k', cacheTypes, {
    group: memory,
    standard: 'f16',
    help: 'Number type of the keys in the KV cache. q8_0 takes about half the memory of f16.',
  }),
  cache_type_v: choice('--cache-type-v', cacheTypes, {
    group: memory,
    standard: 'f16',
    help: 'Number type of the values in the KV cache; the quantised ones need flash attention.',
  }),
  kv_offload: toggle([{ form: 'off', flag: '--no-kv-offload' }], {
    group: memory,
    standard: true,
    help: 'Keep the KV cache on the GPU.',
  }),
  kv_unified: toggle(
    [{ form: 'switch', flag: '--kv-unified', until: 'b7600' }, pairOf('--kv-unified', { since: 'b7600' })],
    {
      group: memory,
      standard: null,
      help: 'One KV cache for all slots, so that one long request may use it whole.',
    },
  ),
  swa_full: toggle('--swa-full', {
    group: memory,
    standard: false,
    help: 'Keep the whole cache of layers with a sliding window, for reuse of prompts.',
  }),
  cache_ram: integer([{ form: 'value', flag: '--cache-ram', since: 'b6730' }], -1, 16_777_216, {
    group: memory,
    unit: 'MiB',
    standard: 8192,
    help: 'Main memory that keeps computed prompts; 0 for none, -1 for no limit.',
  }),
  load_mode: choice(
    [
      {
        form: 'map',
        until: 'b9500',
        words: { auto: [], mmap: [], none: ['--no-mmap'], mlock: ['--no-mmap', '--mlock'], 'mmap+mlock': ['--mlock'] },
      },
      { form: 'value', flag: '--load-mode', since: 'b9500' },
    ],
    ['auto', 'none', 'mmap', 'mlock', 'mmap+mlock', 'dio'],
    {
      group: memory,
      standard: null,
      help: 'How the file is read: mapped, read whole, kept from being swapped out (mlock), or past the page cache (dio).',
    },
  ),
  check_tensors: toggle('--check-tensors', {
    group: memory,
    standard: false,
    help: 'Look for invalid numbers in the weights while loading.',
  }),
  defrag_thold: number('--defrag-thold', -1, 1, {
    group: memory,
    unit: 'share',
    standard: null,
    help: 'Fragmentation from which the KV cache is tidied up. Newer builds take it and do nothing.',
  }),
  gpu_layers: integer('--n-gpu-layers', 0, 999, {
    group: gpus,
    unit: 'layers',
    standard: null,
    essential: true,
    help: 'Layers kept on the GPU; 0 runs on the CPU, 999 keeps all.',
  }),
  fit: choice([{ form: 'value', flag: '--fit', since: 'b7410' }], ['on', 'off'], {
    group: gpus,
    standard: 'on',
    help: 'Let the engine shrink what is left empty until the model fits into the GPU memory.',
  }),
  split_mode: choice('--split-mode', ['none', 'layer', 'row'], {
    group: gpus,
    standard: 'layer',
    help: 'How several GPUs share the model: not at all, by layers, or by rows of each matrix.',
  }),
  tensor_split: {
    kind: 'numbers',
    min: 0,
    max: 1_000_000,
    group: gpus,
    unit: 'parts',
    standard: null,
    help: 'What part of the model each GPU takes, in proportion: 3, 1 gives the first three quarters.',
    spellings: [{ form: 'joined', flag: '--tensor-split' }],
  },
  main_gpu: integer('--main-gpu', 0, 63, {
    group: gpus,
    standard: 0,
    help: 'The GPU that is used where the model is not split, or that collects results where it is split by rows.',
  }),
  cpu_moe: toggle('--cpu-moe', {
    group: gpus,
    standard: false,
    help: 'Keep all experts of a mixture-of-experts model in main memory.',
  }),
  n_cpu_moe: integer('--n-cpu-moe', 0, 999, {
    group: gpus,
    unit: 'layers',
    standard: null,
    help: 'Keep the experts of that many first layers in main memory.',
  }),
  op_offload: toggle([{ form: 'off', flag: '--no-op-offload' }], {
    group: gpus,
    standard: true,
    help: 'Compute large steps on the GPU also for weights in main memory.',
  }),
  threads: integer('--threads', 1, 1024, {
    group: cpu,
    unit: 'threads',
    standard: null,
    essential: true,
    help: 'CPU threads that write answers; best the number of physical cores.',
  }),
  threads_batch: integer('--threads-batch', 1, 1024, {
    group: cpu,
    unit: 'threads',
    standard: null,
    help: 'CPU threads that read prompts.',
  }),
  threads_http: integer('--threads-http', 1, 1024, {
    group: cpu,
    unit: 'threads',
    standard: null,
    help: 'Threads that take requests.',
  }),
  numa: choice('--numa', ['distribute', 'isolate', 'numactl'], {
    group: cpu,
    standard: null,
    help: 'How threads are placed on machines with several memory nodes.',
  }),
  prio: integer('--prio', 0, 3, { group: cpu, standard: 0, help: 'Priority of the threads, 0 normal to 3 real time.' }),
  parallel: integer('--parallel', 1, 256, {
    group: scheduling,
    unit: 'requests',
    standard: null,
    essential: true,
    help: 'Slots: requests answered at the same time.',
  }),
  cont_batching: toggle([pairOf('--cont-batching')], {
    group: scheduling,
    standard: true,
    help: 'Let new requests join those that are being answered.',
  }),
  cache_prompt: toggle([{ form: 'off', flag: '--no-cache-prompt' }], {
    group: scheduling,
    standard: true,
    help: 'Reuse what was computed for the same beginning of a prompt.',
  }),
  cache_reuse: integer('--cache-reuse', 0, 1_000_000, {
    group: scheduling,
    unit: 'tokens',
    standard: 0,
    help: 'Shortest piece that is reused although it has moved; 0 for never.',
  }),
  context_shift: toggle(
    [{ form: 'off', flag: '--no-context-shift', until: 'b6250' }, pairOf('--context-shift', { since: 'b6250' })],
    {
      group: scheduling,
      standard: null,
      help: 'Drop the oldest tokens when the context is full, in place of ending the answer.',
    },
  ),
  slot_prompt_similarity: number('--slot-prompt-similarity', 0, 1, {
    group: scheduling,
    unit: 'share',
    standard: 0.1,
    help: "How much a prompt must resemble a slot's last one to be given to it; 0 for any slot.",
  }),
  timeout: integer('--timeout', 1, 86_400, {
    group: scheduling,
    unit: 'seconds',
    standard: null,
    help: 'How long the server waits for reading and writing.',
  }),
  sleep_idle_seconds: integer([{ form: 'value', flag: '--sleep-idle-seconds', since: 'b7500' }], -1, 2_592_000, {
    group: scheduling,
    unit: 'seconds',
    standard: -1,
    help: 'Unload the model after so long without a request; -1 for never.',
  }),
  warmup: toggle([{ form: 'off', flag: '--no-warmup' }], {
    group: scheduling,
    standard: true,
    help: 'Run once empty before the first request, which is then as fast as the others.',
  }),
  slots: toggle([{ form: 'switch', flag: '--slots', until: 'b6500' }, pairOf('--slots', { since: 'b6500' })], {
    group: scheduling,
    standard: null,
    help: 'Show what each slot does at /slots of the engine.',
  }),
  draft_model: structured('file', '--model-draft', {
    group: 'Speculative decoding',
    standard: null,
    help: "A small .gguf file below the model's folder that proposes tokens.",
  }),
} as const satisfies Record<string, EngineOption>;
