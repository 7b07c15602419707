import { isSize, type LayerShape, type ModelShape, mostLayers, type TensorSize, weightsOf } from './shape.ts';

type Scalar = string | number | boolean;

/** The head of a GGUF file, or of all parts of a set together. */
export interface GgufFacts {
  /** Long arrays (the vocabulary) are left out. */
  readonly metadata: ReadonlyMap<string, Scalar | readonly Scalar[]>;
  readonly tensors: readonly TensorSize[];
}

const names = {
  layerOf: (name: string) => {
    const layer = /^blk\.(\d+)\./.exec(name)?.[1];
    return layer === undefined ? null : Number(layer);
  },
  isEmbedding: (name: string) => name.startsWith('token_embd.') || name.startsWith('per_layer_token_embd.'),
  isOutput: (name: string) => name === 'output.weight' || name === 'output.bias',
  isExpert: (name: string) => /_exps\b/.test(name),
};

/**
 * Every which layer sees the whole context, in architectures for which llama.cpp knows it (src/models/*.cpp, set_swa_pattern);
 * the others with a window in their metadata and no pattern have none in llama.cpp.
 */
const periods: Readonly<Record<string, number>> = {
  gemma2: 2,
  gemma3: 6,
  gemma3n: 5,
  cohere2: 4,
  'gpt-oss': 2,
  olmo2: 4,
  exaone4: 4,
  llama4: 4,
  smallthinker: 4,
};

/** The shape of a model from a GGUF file's metadata and tensor sizes. Null where it does not tell enough. */
export function shapeOfGguf({ metadata, tensors }: GgufFacts): ModelShape | null {
  const architecture = metadata.get('general.architecture');
  if (typeof architecture !== 'string') return null;
  const value = (key: string) => metadata.get(`${architecture}.${key}`);
  const number = (key: string): number | null => {
    const found = value(key);
    return isSize(found) ? found : null;
  };
  /** A number of a layer: one for all, or a list with one for each. */
  const ofLayer = (key: string, layer: number): number | null => {
    const found = value(key);
    const one = typeof found === 'object' ? found[layer] : found;
    return one === 0 || isSize(one) ? one : null;
  };

  // Layers past the last one guess further tokens; they are counted in block_count and not run.
  const layerCount = (number('block_count') ?? 0) - (number('nextn_predict_layers') ?? 0);
  const hidden = number('embedding_length');
  const heads = largest(value('attention.head_count'));
  if (layerCount < 1 || layerCount > mostLayers || hidden === null) return null;

  const headSize = heads === null ? hidden : hidden / heads;
  const keySize = number('attention.key_length') ?? headSize;
  const valueSize = number('attention.value_length') ?? headSize;
  const rank = number('attention.key_length_mla') === null ? null : number('attention.kv_lora_rank');
  const interval = number('full_attention_interval');
  const isWindowed = windowedLayers(architecture, value('attention.sliding_window_pattern'));
  const window = number('attention.sliding_window') ?? number('attention.chunk_size');

  const layers = Array.from({ length: layerCount }, (_, layer): LayerShape => {
    const kvHeads = ofLayer('attention.head_count_kv', layer) ?? heads ?? 0;
    const isRecurrent =
      number('ssm.state_size') !== null && (kvHeads === 0 || (interval !== null && (layer + 1) % interval !== 0));
    if (isRecurrent) return { kind: 'recurrent', stateElements: stateElements(number) };
    if (kvHeads === 0) return { kind: 'plain' };
    if (rank !== null) return { kind: 'latent', rank, ropeSize: number('rope.dimension_count') ?? 64 };
    const windowed = window !== null && isWindowed(layer);
    return {
      kind: 'attention',
      kvHeads,
      keySize: windowed ? (number('attention.key_length_swa') ?? keySize) : keySize,
      valueSize: windowed ? (number('attention.value_length_swa') ?? valueSize) : valueSize,
      window: windowed ? window : null,
    };
  });

  const count = number('expert_count');
  const used = (number('expert_used_count') ?? 1) + (number('expert_shared_count') ?? 0);
  const experts = count === null || count < 2 ? null : { count, used };
  const denseWidth = largest(value('feed_forward_length')) ?? 4 * hidden;
  const embedding = tensors.find(({ name }) => name === 'token_embd.weight');
  return {
    architecture,
    contextLength: number('context_length'),
    hidden,
    heads: heads ?? 1,
    feedForward: experts === null ? denseWidth : (number('expert_feed_forward_length') ?? denseWidth) * experts.used,
    // GGUF writes the fastest dimension first: the vocabulary is the embedding's second.
    vocabulary: number('vocab_size') ?? embedding?.shape[1] ?? 32_000,
    layers,
    experts,
    weights: weightsOf(tensors, layerCount, names),
    weightNumberBytes: null,
  };
}

function largest(value: Scalar | readonly Scalar[] | undefined): number | null {
  const all = (typeof value === 'object' ? value : [value]).filter(isSize);
  return all.length === 0 ? null : Math.max(...all);
}

function windowedLayers(
  architecture: string,
  pattern: Scalar | readonly Scalar[] | undefined,
): (layer: number) => boolean {
  if (typeof pattern === 'object') return (layer) => pattern[layer] === true || pattern[layer] === 1;
  const period = typeof pattern === 'number' ? pattern : periods[architecture];
  return period === undefined ? () => false : (layer) => (layer + 1) % period !== 0;
}

/** Mamba 2 and gated linear attention keep the same two things under the same keys. */
function stateElements(number: (key: string) => number | null): number {
  const inner = number('ssm.inner_size') ?? 0;
  const state = number('ssm.state_size') ?? 0;
  const groups = number('ssm.group_count') ?? 0;
  return inner * state + ((number('ssm.conv_kernel') ?? 4) - 1) * (inner + 2 * groups * state);
}
