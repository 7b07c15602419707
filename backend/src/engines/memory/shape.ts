/** Files can claim anything. The deepest models that were published have some 130 layers. */
export const mostLayers = 512;

const largestNumber = 1e9;
/** Whether a model's size may be that: whole, positive, and not beyond reason. */
export const isSize = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= largestNumber;

/** What one layer keeps of each token, or of each sequence. */
export type LayerShape =
  | {
      readonly kind: 'attention';
      readonly kvHeads: number;
      readonly keySize: number;
      readonly valueSize: number;
      /** Tokens that it looks back; null for the whole context. */
      readonly window: number | null;
    }
  /** Multi-head latent attention: one compressed vector in place of keys and values. */
  | { readonly kind: 'latent'; readonly rank: number; readonly ropeSize: number }
  /** Mamba and linear attention: a state of fixed size for each sequence, however long it is. */
  | { readonly kind: 'recurrent'; readonly stateElements: number }
  /** A layer without attention. */
  | { readonly kind: 'plain' };

export interface ModelWeights {
  readonly embeddingBytes: number;
  /** The last matrix; 0 where the embedding serves for it as well. */
  readonly outputBytes: number;
  /** Of each layer, its experts included. */
  readonly layerBytes: readonly number[];
  /** Of each layer, the part that is experts. */
  readonly expertBytes: readonly number[];
  /** Norms, projectors for images, all that is in no layer. */
  readonly otherBytes: number;
}

/** All of them together. */
export const weightBytes = ({ embeddingBytes, outputBytes, layerBytes, otherBytes }: ModelWeights): number =>
  layerBytes.reduce((sum, bytes) => sum + bytes, embeddingBytes + outputBytes + otherBytes);

/** What memory a model takes depends on this, whichever engine runs it. */
export interface ModelShape {
  readonly architecture: string | null;
  /** The longest context that it was trained for. */
  readonly contextLength: number | null;
  readonly hidden: number;
  readonly heads: number;
  /** Width of the widest feed-forward that a token passes, all its chosen experts together. */
  readonly feedForward: number;
  readonly vocabulary: number;
  readonly layers: readonly LayerShape[];
  readonly experts: { readonly count: number; readonly used: number } | null;
  readonly weights: ModelWeights;
  /** Bytes of a number of the weights where they are not quantised; null where they are. */
  readonly weightNumberBytes: number | null;
}

/** A tensor of a file, as far as it matters here. */
export interface TensorSize {
  readonly name: string;
  readonly shape: readonly number[];
  readonly bytes: number;
}

interface TensorNames {
  /** The number of its layer; null for what is in none. */
  readonly layerOf: (name: string) => number | null;
  readonly isEmbedding: (name: string) => boolean;
  readonly isOutput: (name: string) => boolean;
  readonly isExpert: (name: string) => boolean;
}

/** Sums the tensors of a file by where they stand. Layers past the last one (drafts of further tokens) are left out. */
export function weightsOf(tensors: readonly TensorSize[], layers: number, names: TensorNames): ModelWeights {
  const layerBytes = new Array<number>(layers).fill(0);
  const expertBytes = new Array<number>(layers).fill(0);
  const add = (to: number[], layer: number, bytes: number) => {
    to[layer] = (to[layer] ?? 0) + bytes;
  };
  let embeddingBytes = 0;
  let outputBytes = 0;
  let otherBytes = 0;
  for (const { name, bytes } of tensors) {
    const layer = names.layerOf(name);
    if (layer !== null) {
      if (layer >= layers) continue;
      add(layerBytes, layer, bytes);
      if (names.isExpert(name)) add(expertBytes, layer, bytes);
    } else if (names.isEmbedding(name)) embeddingBytes += bytes;
    else if (names.isOutput(name)) outputBytes += bytes;
    else otherBytes += bytes;
  }
  return { embeddingBytes, outputBytes, layerBytes, expertBytes, otherBytes };
}

export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** All of it, as the files have it. */
export const totalWeightBytes = ({ embeddingBytes, outputBytes, layerBytes, otherBytes }: ModelWeights): number =>
  embeddingBytes + outputBytes + otherBytes + sum(layerBytes);
