import { isSize, type LayerShape, type ModelShape, mostLayers, type TensorSize, weightsOf } from './shape.ts';

type Fields = Readonly<Record<string, unknown>>;

/** The headers of a folder's safetensors files, together. */
export interface SafetensorsFacts {
  readonly config: unknown;
  readonly tensors: readonly (TensorSize & { readonly dtype: string })[];
}

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The first of the names that holds a positive number that a model can have. */
function numberOf(fields: Fields, ...names: readonly string[]): number | null {
  for (const name of names) {
    const value = fields[name];
    if (isSize(value)) return value;
  }
  return null;
}

const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);

/** Models that see or hear keep the language model's part in an object of its own. */
function languageFields(config: Fields): Fields {
  for (const name of ['text_config', 'llm_config', 'language_config', 'thinker_config']) {
    const inner = config[name];
    if (isFields(inner)) return { ...languageFields(inner) };
  }
  return config;
}

const sensorPart = /vision|visual|audio|image|mm_|multi_modal|connector/i;
const layerNumber = /(?:^|\.)(?:layers|h|blocks|layer)\.(\d+)\./;

const names = {
  layerOf: (name: string) => {
    const layer = sensorPart.test(name) ? undefined : layerNumber.exec(name)?.[1];
    return layer === undefined ? null : Number(layer);
  },
  isEmbedding: (name: string) =>
    /embed_tokens|\bwte\b|word_embeddings|tok_embeddings|embed_in|shared\.weight/.test(name),
  isOutput: (name: string) => /lm_head|embed_out|output_layer|^output\.weight$/.test(name),
  isExpert: (name: string) => /\.experts?\./.test(name),
};

/** The rows of a matrix of the first layer that has it, where it is not packed. */
function rowsOf(tensors: readonly TensorSize[], part: string): number | null {
  const found = tensors.find(({ name }) => names.layerOf(name) !== null && name.endsWith(`.${part}.weight`));
  return found?.shape[0] ?? null;
}

/**
 * The shape of a Hugging Face model from its config.json and its tensors' sizes. What config.json leaves to the defaults of
 * its class is read from the tensors. Null where it does not tell enough.
 */
export function shapeOfConfig({ config, tensors }: SafetensorsFacts): ModelShape | null {
  if (!isFields(config)) return null;
  const fields = languageFields(config);
  const attention = isFields(fields.attn_config) ? fields.attn_config : {};
  const layerCount = numberOf(fields, 'num_hidden_layers', 'n_layer', 'n_layers', 'num_layers');
  const hidden = numberOf(fields, 'hidden_size', 'n_embd', 'd_model', 'dim');
  if (layerCount === null || hidden === null || layerCount > mostLayers) return null;

  const namedHeads = numberOf(fields, 'num_attention_heads', 'n_head', 'n_heads', 'num_heads');
  const headSize =
    numberOf(fields, 'head_dim', 'kv_channels', 'attention_head_dim') ??
    rowsOf(tensors, 'self_attn.q_norm') ??
    (namedHeads === null ? null : hidden / namedHeads);
  if (headSize === null) return null;
  const heads = namedHeads ?? (rowsOf(tensors, 'self_attn.q_proj') ?? hidden) / headSize;
  const keyRows = rowsOf(tensors, 'self_attn.k_proj');
  const kvHeads =
    numberOf(fields, 'num_key_value_heads', 'num_kv_heads', 'n_head_kv', 'multi_query_group_num') ??
    numberOf(attention, 'kv_n_heads') ??
    (fields.multi_query === true && fields.new_decoder_architecture !== true ? 1 : null) ??
    (keyRows === null ? heads : keyRows / headSize);

  const experts = expertsOf(fields);
  const denseWidth = numberOf(fields, 'intermediate_size', 'ffn_dim', 'n_inner', 'ffn_hidden_size') ?? 4 * hidden;
  const expertWidth = numberOf(fields, 'moe_intermediate_size', 'expert_ffn_hidden_size') ?? denseWidth;
  const kinds = layerKinds(fields, layerCount);
  const layers = kinds.map((kind) => layerOf(kind, fields, { kvHeads, headSize }));
  const quantized = isFields(config.quantization_config) || isFields(fields.quantization_config);
  const numberBytes = sizeOfDtype(tensors);
  return {
    architecture: textOf(fields.model_type) ?? textOf(config.model_type),
    contextLength: numberOf(fields, 'max_position_embeddings', 'n_positions', 'max_seq_len', 'seq_length', 'n_ctx'),
    hidden,
    heads,
    feedForward: experts === null ? denseWidth : expertWidth * experts.used,
    vocabulary: numberOf(fields, 'vocab_size', 'padded_vocab_size') ?? rowsOfEmbedding(tensors) ?? 32_000,
    layers,
    experts,
    weights: weightsOf(tensors, layerCount, names),
    weightNumberBytes: quantized ? null : numberBytes,
  };
}

const rowsOfEmbedding = (tensors: readonly TensorSize[]): number | null =>
  tensors.find(({ name }) => names.isEmbedding(name))?.shape[0] ?? null;

/** Bytes of a number in most of the tensors; null for packed ones. */
function sizeOfDtype(tensors: SafetensorsFacts['tensors']): number | null {
  const sizes: Readonly<Record<string, number>> = { F64: 8, F32: 4, F16: 2, BF16: 2 };
  const bytes = new Map<string, number>();
  for (const tensor of tensors) bytes.set(tensor.dtype, (bytes.get(tensor.dtype) ?? 0) + tensor.bytes);
  const [most] = [...bytes].sort((a, b) => b[1] - a[1]);
  return most === undefined ? null : (sizes[most[0]] ?? null);
}

function expertsOf(fields: Fields): ModelShape['experts'] {
  const count = numberOf(fields, 'num_local_experts', 'num_experts', 'n_routed_experts', 'moe_num_experts');
  if (count === null || count < 2) return null;
  const used =
    numberOf(fields, 'num_experts_per_tok', 'experts_per_token', 'num_experts_per_token', 'moe_topk', 'moe_k') ?? 1;
  return { count, used: used + (numberOf(fields, 'n_shared_experts', 'num_shared_experts') ?? 0) };
}

type LayerKind = 'full' | 'windowed' | 'recurrent' | 'plain';

const namedKinds: Readonly<Record<string, LayerKind>> = {
  full_attention: 'full',
  attention: 'full',
  hybrid: 'full',
  sliding_attention: 'windowed',
  chunked_attention: 'windowed',
  linear_attention: 'recurrent',
  mamba: 'recurrent',
  mamba2: 'recurrent',
  recurrent: 'recurrent',
  conv: 'recurrent',
  mlp: 'plain',
  moe: 'plain',
};

/** Every which layer sees the whole context, in models whose config.json leaves it to their class. */
const periods: Readonly<Record<string, number>> = { gemma2: 2, gemma3_text: 6, cohere2: 4, gpt_oss: 2 };

function layerKinds(fields: Fields, count: number): readonly LayerKind[] {
  const every = (kindOf: (layer: number) => LayerKind) => Array.from({ length: count }, (_, layer) => kindOf(layer));
  const listed = fields.layer_types ?? fields.layers_block_type;
  if (Array.isArray(listed) && listed.length >= count)
    return every((layer) => namedKinds[String(listed[layer])] ?? 'full');
  const drawn = textOf(fields.hybrid_override_pattern);
  if (drawn !== null && drawn.length >= count)
    return every((layer) => (drawn[layer] === '*' ? 'full' : drawn[layer] === 'M' ? 'recurrent' : 'plain'));
  const interval = numberOf(fields, 'full_attention_interval');
  if (interval !== null) return every((layer) => ((layer + 1) % interval === 0 ? 'full' : 'recurrent'));
  const period = numberOf(fields, 'attn_layer_period');
  const offset = typeof fields.attn_layer_offset === 'number' ? fields.attn_layer_offset : 0;
  if (period !== null) return every((layer) => (layer % period === offset ? 'full' : 'recurrent'));
  if (windowOf(fields) === null) return every(() => 'full');

  const type = textOf(fields.model_type) ?? '';
  const pattern = numberOf(fields, 'sliding_window_pattern') ?? periods[type];
  if (pattern !== undefined) return every((layer) => ((layer + 1) % pattern === 0 ? 'full' : 'windowed'));
  const firstWindowed = numberOf(fields, 'max_window_layers');
  if (firstWindowed !== null) return every((layer) => (layer < firstWindowed ? 'full' : 'windowed'));
  return every(() => 'windowed');
}

const windowOf = (fields: Fields): number | null =>
  fields.use_sliding_window === false ? null : numberOf(fields, 'sliding_window', 'attention_chunk_size');

function layerOf(kind: LayerKind, fields: Fields, head: { kvHeads: number; headSize: number }): LayerShape {
  if (kind === 'plain') return { kind: 'plain' };
  if (kind === 'recurrent') return { kind: 'recurrent', stateElements: stateElements(fields) };
  const rank = numberOf(fields, 'kv_lora_rank');
  if (rank !== null) return { kind: 'latent', rank, ropeSize: numberOf(fields, 'qk_rope_head_dim') ?? 64 };
  return {
    kind: 'attention',
    kvHeads: head.kvHeads,
    keySize: head.headSize,
    valueSize: numberOf(fields, 'v_head_dim') ?? head.headSize,
    window: kind === 'windowed' ? windowOf(fields) : null,
  };
}

/** Of linear attention (Qwen3-Next and its like) and of Mamba: the state and the window of its convolution. */
function stateElements(fields: Fields): number {
  const valueHeads = numberOf(fields, 'linear_num_value_heads');
  const convolution =
    (numberOf(fields, 'linear_conv_kernel_dim', 'mamba_d_conv', 'conv_kernel', 'conv_L_cache') ?? 4) - 1;
  if (valueHeads !== null) {
    const keySize = numberOf(fields, 'linear_key_head_dim') ?? 128;
    const valueSize = numberOf(fields, 'linear_value_head_dim') ?? 128;
    const keyHeads = numberOf(fields, 'linear_num_key_heads') ?? valueHeads;
    return valueHeads * keySize * valueSize + convolution * (2 * keyHeads * keySize + valueHeads * valueSize);
  }
  const hidden = numberOf(fields, 'hidden_size') ?? 0;
  const mambaHeads = numberOf(fields, 'mamba_num_heads', 'mamba_n_heads');
  const inner =
    mambaHeads === null
      ? hidden * (numberOf(fields, 'mamba_expand', 'expand') ?? 2)
      : mambaHeads * (numberOf(fields, 'mamba_head_dim', 'mamba_d_head') ?? 64);
  const state = numberOf(fields, 'mamba_d_state', 'ssm_state_size', 'state_size') ?? 16;
  const groups = numberOf(fields, 'mamba_n_groups', 'n_groups') ?? 0;
  return inner * state + convolution * (inner + 2 * groups * state);
}
