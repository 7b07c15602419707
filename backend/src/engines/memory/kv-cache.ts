import type { LayerShape, ModelShape } from './shape.ts';

/** Bytes of a number in llama.cpp's cache types: blocks of 32 numbers with their scales (ggml's block sizes). */
const ggmlNumberBytes: Readonly<Record<string, number>> = {
  f32: 4,
  f16: 2,
  bf16: 2,
  q8_0: 34 / 32,
  q5_1: 24 / 32,
  q5_0: 22 / 32,
  q4_1: 20 / 32,
  q4_0: 18 / 32,
  iq4_nl: 18 / 32,
};
export const cacheNumberBytes = (type: string | null): number => ggmlNumberBytes[type ?? 'f16'] ?? 2;

const padding = 256;
export const padUp = (value: number, to: number): number => Math.ceil(value / to) * to;

export interface LlamacppCache {
  /** Of all slots together. */
  readonly context: number;
  readonly slots: number;
  /** One cache for all slots. */
  readonly unified: boolean;
  readonly ubatch: number;
  readonly typeK: string | null;
  readonly typeV: string | null;
  /** Layers with a window keep the whole context as well. */
  readonly fullWindows: boolean;
  /** Builds up to the beginning of 2026 keep values beside the latent vector. */
  readonly latentValues: boolean;
}

/**
 * The cache of each layer in llama.cpp. A cache is padded to 256 cells; layers with a window keep the window and one batch
 * (llama-kv-cache-iswa.cpp); recurrent layers keep a state for each slot in 32 bits.
 */
export function llamacppLayerCaches(shape: ModelShape, cache: LlamacppCache): readonly number[] {
  const streams = cache.unified ? 1 : cache.slots;
  const cells = padUp(Math.ceil(cache.context / streams), padding);
  const keyBytes = cacheNumberBytes(cache.typeK);
  const valueBytes = cacheNumberBytes(cache.typeV);
  const windowCells = (window: number) =>
    cache.fullWindows
      ? cells
      : padUp(Math.min(cells, window * (cache.unified ? cache.slots : 1) + cache.ubatch), padding);
  const bytesOf = (layer: LayerShape): number => {
    switch (layer.kind) {
      case 'attention': {
        const perCell = layer.kvHeads * (layer.keySize * keyBytes + layer.valueSize * valueBytes);
        return perCell * streams * (layer.window === null ? cells : windowCells(layer.window));
      }
      case 'latent':
        return (
          ((layer.rank + layer.ropeSize) * keyBytes + (cache.latentValues ? layer.rank * valueBytes : 0)) *
          streams *
          cells
        );
      case 'recurrent':
        return layer.stateElements * 4 * cache.slots;
      case 'plain':
        return 0;
    }
  };
  return shape.layers.map(bytesOf);
}

export interface VllmCache {
  readonly context: number;
  readonly numberBytes: number;
  readonly tensorParallel: number;
  readonly blockTokens: number;
  /** Tokens of one step: a layer with a window keeps as many beside it. */
  readonly batchedTokens: number;
  /** Whether layers with a window keep only that, where others of the model keep all. */
  readonly hybrid: boolean;
}

/**
 * What one request of the whole context takes of vLLM's cache on each GPU of a tensor-parallel group: KV heads are split
 * and at least one stays on each; a latent vector can't be split and stands on all.
 */
export function vllmLayerCaches(shape: ModelShape, cache: VllmCache): readonly number[] {
  const { numberBytes, tensorParallel, blockTokens } = cache;
  const windows = shape.layers.map((layer) => (layer.kind === 'attention' ? layer.window : null));
  const uniform = windows.every((window, index) => window !== null || shape.layers[index]?.kind !== 'attention');
  const tokensOf = (window: number | null) => {
    const kept = window === null || !(uniform || cache.hybrid) ? cache.context : window - 1 + cache.batchedTokens;
    return padUp(Math.min(cache.context, kept), blockTokens);
  };
  const bytesOf = (layer: LayerShape): number => {
    switch (layer.kind) {
      case 'attention': {
        const heads = Math.max(1, layer.kvHeads / tensorParallel);
        return heads * (layer.keySize + layer.valueSize) * numberBytes * tokensOf(layer.window);
      }
      case 'latent':
        return (layer.rank + layer.ropeSize) * numberBytes * tokensOf(null);
      case 'recurrent':
        return (layer.stateElements / tensorParallel) * 4;
      case 'plain':
        return 0;
    }
  };
  return shape.layers.map(bytesOf);
}

/** What one more token of a long context costs, all layers together, where nothing is split. */
export function bytesPerToken(layers: readonly LayerShape[], keyBytes: number, valueBytes = keyBytes): number {
  return layers.reduce((total, layer) => {
    if (layer.kind === 'latent') return total + (layer.rank + layer.ropeSize) * keyBytes;
    if (layer.kind !== 'attention' || layer.window !== null) return total;
    return total + layer.kvHeads * (layer.keySize * keyBytes + layer.valueSize * valueBytes);
  }, 0);
}
