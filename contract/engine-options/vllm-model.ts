import { choice, type EngineOption, integer, name, number, pairOf, structured, toggle } from './option.ts';

const weights = 'Model and weights';
const graphs = 'Compilation and CUDA graphs';
const answers = 'Chat, tools and reasoning';
const images = 'Images and video';
const adapters = 'LoRA adapters';
const logging = 'Logging';

/** A switch up to 0.8; since 0.9.0 argparse also takes its negation. */
const toggleOf = (flag: string, facts: Parameters<typeof toggle>[1]): EngineOption =>
  toggle([{ form: 'switch', flag, until: '0.9.0' }, pairOf(flag, { since: '0.9.0' })], facts);

/** How vLLM reads the model and answers. Sources and their limits: see vllm-serving.ts. */
export const vllmModel = {
  dtype: choice('--dtype', ['auto', 'half', 'float16', 'bfloat16', 'float', 'float32'], {
    group: weights,
    standard: 'auto',
    essential: true,
    help: 'Number type in which the model computes.',
  }),
  quantization: name('--quantization', {
    group: weights,
    standard: null,
    essential: true,
    help: "Quantisation of the weights, where the model's config.json does not name it: awq, gptq, fp8, bitsandbytes …",
  }),
  load_format: choice(
    '--load-format',
    ['auto', 'safetensors', 'pt', 'npcache', 'dummy', 'sharded_state', 'bitsandbytes', 'mistral'],
    { group: weights, standard: 'auto', help: 'File format of the weights.' },
  ),
  config_format: choice('--config-format', ['auto', 'hf', 'mistral'], {
    group: weights,
    standard: 'auto',
    help: "Format of the model's configuration file.",
  }),
  safetensors_load_strategy: choice(
    [{ form: 'value', flag: '--safetensors-load-strategy', since: '0.11.1' }],
    ['lazy', 'eager'],
    {
      group: weights,
      standard: null,
      help: 'Read weights as they are needed, or at once; at once suits network disks.',
    },
  ),
  tokenizer: structured('file', '--tokenizer', {
    group: weights,
    standard: null,
    help: "Folder or file below the model's folder that holds the tokenizer, where it is not beside the weights.",
  }),
  tokenizer_mode: choice('--tokenizer-mode', ['auto', 'slow', 'mistral'], {
    group: weights,
    standard: 'auto',
    help: 'Which implementation of the tokenizer is used.',
  }),
  hf_overrides: structured('json', [{ form: 'value', flag: '--hf-overrides', since: '0.6.4' }], {
    group: weights,
    standard: null,
    help: "Values that replace those of the model's config.json.",
  }),
  rope_scaling: structured('json', [{ form: 'value', flag: '--rope-scaling', until: '0.12.0' }], {
    group: weights,
    standard: null,
    help: 'Stretches the position encoding for longer contexts. Newer versions take it in hf_overrides.',
  }),
  rope_theta: number([{ form: 'value', flag: '--rope-theta', until: '0.12.0' }], 1, 1e12, {
    group: weights,
    standard: null,
    help: 'Base of the rotary position encoding. Newer versions take it in hf_overrides.',
  }),
  model_impl: choice([{ form: 'value', flag: '--model-impl', since: '0.7.0' }], ['auto', 'vllm', 'transformers'], {
    group: weights,
    standard: 'auto',
    help: 'Which implementation of the model runs: the one of vLLM, or the one of Transformers.',
  }),
  trust_remote_code: toggleOf('--trust-remote-code', {
    group: weights,
    standard: false,
    help: "Run the Python files of the model's folder. Only for models whose source you trust.",
  }),
  disable_sliding_window: toggleOf('--disable-sliding-window', {
    group: weights,
    standard: false,
    help: 'Use no sliding-window attention; the context is then no longer than the window.',
  }),
  seed: integer('--seed', 0, 2 ** 32 - 1, {
    group: weights,
    standard: null,
    help: 'Start of the random numbers, for answers that can be repeated.',
  }),
  max_logprobs: integer('--max-logprobs', 0, 1000, {
    group: weights,
    standard: 20,
    help: 'Most log probabilities that a request may ask for.',
  }),
  generation_config: choice([{ form: 'value', flag: '--generation-config', since: '0.6.6' }], ['auto', 'vllm'], {
    group: weights,
    standard: null,
    help: "Sampling defaults: those of the model's generation_config.json (auto), or vLLM's own.",
  }),
  override_generation_config: structured(
    'json',
    [{ form: 'value', flag: '--override-generation-config', since: '0.7.1' }],
    { group: weights, standard: null, help: 'Sampling defaults of this model, such as {"temperature": 0.6}.' },
  ),
  enforce_eager: toggleOf('--enforce-eager', {
    group: graphs,
    standard: false,
    help: 'No CUDA graphs: starts faster, takes less memory, answers slower.',
  }),
  max_seq_len_to_capture: integer(
    [{ form: 'value', flag: '--max-seq-len-to-capture', until: '0.11.1' }],
    1,
    10_000_000,
    { group: graphs, unit: 'tokens', standard: 8192, help: 'Longest context that CUDA graphs cover.' },
  ),
  cudagraph_capture_sizes: {
    kind: 'integers',
    min: 1,
    max: 8192,
    group: graphs,
    unit: 'requests',
    standard: null,
    help: 'Batch sizes for which CUDA graphs are recorded.',
    spellings: [
      { form: 'values', flag: '--cuda-graph-sizes', since: '0.8.5', until: '0.11.1' },
      { form: 'values', flag: '--cudagraph-capture-sizes', since: '0.11.1' },
    ],
  },
  max_cudagraph_capture_size: integer(
    [{ form: 'value', flag: '--max-cudagraph-capture-size', since: '0.11.1' }],
    1,
    8192,
    { group: graphs, unit: 'requests', standard: null, help: 'Largest batch for which a CUDA graph is recorded.' },
  ),
  compilation_config: structured('json', [{ form: 'value', flag: '--compilation-config', since: '0.6.5' }], {
    group: graphs,
    standard: null,
    help: 'Settings of torch.compile and of CUDA graphs.',
  }),
  optimization_level: integer([{ form: 'value', flag: '--optimization-level', since: '0.12.0' }], 0, 3, {
    group: graphs,
    standard: 2,
    help: 'From a fast start (0) to the fastest answers (3).',
  }),
  enable_sleep_mode: toggle(
    [
      { form: 'switch', flag: '--enable-sleep-mode', since: '0.7.0', until: '0.9.0' },
      pairOf('--enable-sleep-mode', { since: '0.9.0' }),
    ],
    { group: graphs, standard: false, help: 'Lets the weights be put aside while nobody asks.' },
  ),
  enable_auto_tool_choice: toggleOf('--enable-auto-tool-choice', {
    group: answers,
    standard: false,
    essential: true,
    help: 'Let the model decide when it calls a tool; needs a tool call parser.',
  }),
  tool_call_parser: name('--tool-call-parser', {
    group: answers,
    standard: null,
    essential: true,
    help: "How this model writes tool calls: hermes, mistral, llama3_json … The version's own list holds.",
  }),
  enable_reasoning: toggle([{ form: 'switch', flag: '--enable-reasoning', since: '0.7.0', until: '0.10.0' }], {
    group: answers,
    standard: false,
    help: 'Needed with a reasoning parser up to 0.8; since 0.9 the parser is enough.',
  }),
  reasoning_parser: name([{ form: 'value', flag: '--reasoning-parser', since: '0.7.0' }], {
    group: answers,
    standard: null,
    help: 'How this model marks its reasoning: deepseek_r1, qwen3, granite …',
  }),
  chat_template: structured('file', '--chat-template', {
    group: answers,
    standard: null,
    help: "File below the model's folder with a chat template that replaces its own.",
  }),
  chat_template_content_format: choice(
    [{ form: 'value', flag: '--chat-template-content-format', since: '0.6.5' }],
    ['auto', 'string', 'openai'],
    { group: answers, standard: 'auto', help: 'Whether the template gets plain text or lists of parts.' },
  ),
  guided_decoding_backend: choice(
    [{ form: 'value', flag: '--guided-decoding-backend', until: '0.12.0' }],
    ['auto', 'outlines', 'lm-format-enforcer', 'xgrammar', 'guidance'],
    { group: answers, standard: null, help: 'What holds answers to a JSON schema or a grammar.' },
  ),
  structured_outputs_config: structured(
    'json',
    [{ form: 'value', flag: '--structured-outputs-config', since: '0.11.0' }],
    { group: answers, standard: null, help: 'The same for newer versions, such as {"backend": "xgrammar"}.' },
  ),
  speculative_config: structured('json', [{ form: 'value', flag: '--speculative-config', since: '0.8.0' }], {
    group: answers,
    standard: null,
    help: 'Speculative decoding, such as {"method": "ngram", "num_speculative_tokens": 4}.',
  }),
  limit_mm_per_prompt: structured(
    'json',
    [
      { form: 'pairs', flag: '--limit-mm-per-prompt', until: '0.8.5' },
      { form: 'value', flag: '--limit-mm-per-prompt', since: '0.8.5' },
    ],
    { group: images, standard: null, help: 'Most images, videos and sounds in one prompt, such as {"image": 4}.' },
  ),
  mm_processor_kwargs: structured('json', '--mm-processor-kwargs', {
    group: images,
    standard: null,
    help: 'Values for the model\'s image processor, such as {"num_crops": 4}.',
  }),
  mm_processor_cache_gb: number([{ form: 'value', flag: '--mm-processor-cache-gb', since: '0.10.2' }], 0, 1024, {
    group: images,
    unit: 'GiB per process',
    standard: 4,
    help: 'Main memory for images that were prepared already.',
  }),
  enable_lora: toggleOf('--enable-lora', {
    group: adapters,
    standard: false,
    help: 'Take LoRA adapters.',
  }),
  max_loras: integer('--max-loras', 1, 1024, {
    group: adapters,
    unit: 'adapters',
    standard: 1,
    help: 'Adapters in one batch.',
  }),
  max_lora_rank: integer('--max-lora-rank', 1, 512, {
    group: adapters,
    standard: 16,
    help: 'Highest rank of an adapter.',
  }),
  max_cpu_loras: integer('--max-cpu-loras', 1, 4096, {
    group: adapters,
    unit: 'adapters',
    standard: null,
    help: 'Adapters kept in main memory.',
  }),
  log_requests: toggle(
    [
      { form: 'off', flag: '--disable-log-requests', until: '0.10.1' },
      pairOf('--enable-log-requests', { since: '0.10.1' }),
    ],
    { group: logging, standard: null, help: 'Write each request to the log; up to 0.10.0 vLLM does so by itself.' },
  ),
  log_stats: toggle([{ form: 'off', flag: '--disable-log-stats' }], {
    group: logging,
    standard: true,
    help: 'Write throughput and cache use to the log now and then.',
  }),
  max_log_len: integer('--max-log-len', 0, 1_000_000, {
    group: logging,
    unit: 'characters',
    standard: null,
    help: 'How much of a prompt is written to the log.',
  }),
} as const satisfies Record<string, EngineOption>;
