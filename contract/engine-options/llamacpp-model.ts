import { choice, type EngineOption, integer, name, number, pairOf, structured, toggle } from './option.ts';

const position = 'Position encoding';
const answers = 'Chat and reasoning';
const images = 'Images';
const adapters = 'LoRA adapters';
const speculative = 'Speculative decoding';
const sampling = 'Sampling defaults';
const embeddings = 'Embeddings';
const logging = 'Logging';

/** How llama.cpp reads the model and answers. Sources and their limits: see llamacpp-serving.ts. */
export const llamacppModel = {
  draft_gpu_layers: integer('--gpu-layers-draft', 0, 999, {
    group: speculative,
    unit: 'layers',
    standard: null,
    help: 'Layers of the draft model kept on the GPU.',
  }),
  draft_max: integer(
    [
      { form: 'value', flag: '--draft-max', until: 'b9000' },
      { form: 'value', flag: '--spec-draft-n-max', since: 'b9000' },
    ],
    0,
    1024,
    { group: speculative, unit: 'tokens', standard: null, help: 'Most tokens that are proposed at once.' },
  ),
  draft_min: integer(
    [
      { form: 'value', flag: '--draft-min', until: 'b9000' },
      { form: 'value', flag: '--spec-draft-n-min', since: 'b9000' },
    ],
    0,
    1024,
    { group: speculative, unit: 'tokens', standard: 0, help: 'Fewest tokens that are worth proposing.' },
  ),
  draft_p_min: number('--draft-p-min', 0, 1, {
    group: speculative,
    unit: 'probability',
    standard: null,
    help: 'How sure the draft model must be of a token to propose it.',
  }),
  spec_type: name([{ form: 'value', flag: '--spec-type', since: 'b8000' }], {
    group: speculative,
    standard: 'none',
    help: 'Kind of speculative decoding: draft-simple, draft-mtp, draft-eagle3, ngram-mod …',
  }),
  rope_scaling: choice('--rope-scaling', ['none', 'linear', 'yarn'], {
    group: position,
    standard: null,
    help: 'How positions are stretched beyond the context that the model was trained on.',
  }),
  rope_scale: number('--rope-scale', 0.001, 1024, {
    group: position,
    unit: 'times',
    standard: null,
    help: 'By how much the context is stretched.',
  }),
  rope_freq_base: number('--rope-freq-base', 1, 1e12, {
    group: position,
    standard: null,
    help: 'Base frequency of the rotary position encoding.',
  }),
  rope_freq_scale: number('--rope-freq-scale', 0.000001, 1024, {
    group: position,
    standard: null,
    help: 'The inverse of the stretch.',
  }),
  yarn_orig_ctx: integer('--yarn-orig-ctx', 0, 10_000_000, {
    group: position,
    unit: 'tokens',
    standard: 0,
    help: "Context that the model was trained on; 0 takes the model's own.",
  }),
  jinja: toggle([pairOf('--jinja')], {
    group: answers,
    standard: null,
    help: "Use the model's own chat template in full, which tool calls need. Cortex turns it on unless this is off.",
  }),
  chat_template: name('--chat-template', {
    group: answers,
    standard: null,
    help: 'One of the built-in templates in place of the one in the file: chatml, llama3, gemma …',
  }),
  chat_template_file: structured('file', '--chat-template-file', {
    group: answers,
    standard: null,
    help: "File below the model's folder with a chat template that replaces its own.",
  }),
  chat_template_kwargs: structured('json', '--chat-template-kwargs', {
    group: answers,
    standard: null,
    help: 'Values for the template, such as {"enable_thinking": false}.',
  }),
  reasoning_format: choice('--reasoning-format', ['auto', 'none', 'deepseek', 'deepseek-legacy'], {
    group: answers,
    standard: 'auto',
    help: 'Whether reasoning is split from the answer, and where it is put.',
  }),
  reasoning_budget: integer('--reasoning-budget', -1, 10_000_000, {
    group: answers,
    unit: 'tokens',
    standard: -1,
    help: 'Tokens of reasoning; -1 for no limit, 0 for none. Older builds only know these two.',
  }),
  n_predict: integer('--n-predict', -1, 10_000_000, {
    group: answers,
    unit: 'tokens',
    standard: -1,
    help: 'Longest answer where a request names none; -1 for no limit.',
  }),
  mmproj: structured('file', '--mmproj', {
    group: images,
    standard: null,
    essential: true,
    help: "The projector for images: an mmproj .gguf file below the model's folder.",
  }),
  mmproj_offload: toggle([{ form: 'off', flag: '--no-mmproj-offload' }], {
    group: images,
    standard: true,
    help: 'Run the projector on the GPU.',
  }),
  image_min_tokens: integer([{ form: 'value', flag: '--image-min-tokens', since: 'b6980' }], 1, 65_536, {
    group: images,
    unit: 'tokens',
    standard: null,
    help: 'Fewest tokens that an image takes.',
  }),
  image_max_tokens: integer([{ form: 'value', flag: '--image-max-tokens', since: 'b6980' }], 1, 65_536, {
    group: images,
    unit: 'tokens',
    standard: null,
    help: 'Most tokens that an image takes.',
  }),
  lora: structured('file', '--lora', {
    group: adapters,
    standard: null,
    help: "A LoRA adapter: a .gguf file below the model's folder.",
  }),
  lora_init_without_apply: toggle('--lora-init-without-apply', {
    group: adapters,
    standard: false,
    help: 'Load the adapter and leave it off until a request turns it on.',
  }),
  temperature: number('--temp', 0, 10, { group: sampling, standard: 0.8, help: 'How freely the model chooses words.' }),
  top_k: integer('--top-k', 0, 1_000_000, {
    group: sampling,
    standard: 40,
    help: 'Choose among that many; 0 for all.',
  }),
  top_p: number('--top-p', 0, 1, {
    group: sampling,
    standard: 0.95,
    help: 'Choose among the likeliest up to this sum.',
  }),
  min_p: number('--min-p', 0, 1, {
    group: sampling,
    standard: 0.05,
    help: 'Leave out what is less likely than this share of the likeliest.',
  }),
  repeat_penalty: number('--repeat-penalty', 0, 10, {
    group: sampling,
    standard: 1,
    help: 'Above 1 makes repetitions rarer.',
  }),
  seed: integer('--seed', -1, 2 ** 32 - 1, {
    group: sampling,
    standard: -1,
    help: 'Start of the random numbers; -1 for another one each time.',
  }),
  pooling: choice('--pooling', ['none', 'mean', 'cls', 'last', 'rank'], {
    group: embeddings,
    standard: null,
    help: "How one vector is made of many; the model's own where it is left empty.",
  }),
  log_verbosity: integer('--verbosity', 0, 10, {
    group: logging,
    standard: null,
    help: 'How much the engine writes to its log.',
  }),
  log_prefix: toggle('--log-prefix', { group: logging, standard: false, help: 'Begin each line with its level.' }),
  log_timestamps: toggle('--log-timestamps', {
    group: logging,
    standard: false,
    help: 'Begin each line with the time.',
  }),
} as const satisfies Record<string, EngineOption>;
