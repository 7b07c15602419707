import type { MemoryPart } from '../../../../contract/memory.ts';
import { compareVersions } from '../command-line.ts';
import { bytesPerToken, cacheNumberBytes, llamacppLayerCaches, padUp } from './kv-cache.ts';
import { gpuDevice, hostDevice, type Layout, MiB, type Room } from './layout.ts';
import type { LlamacppMemoryOptions } from './options.ts';
import { type ModelShape, sum } from './shape.ts';

export interface LlamacppStart {
  readonly shape: ModelShape;
  readonly options: LlamacppMemoryOptions;
  /** `b4719`; null counts as the newest. */
  readonly version: string | null;
  readonly room: Room;
}

/**
 * Builds from which llama.cpp puts all layers on the GPU and uses flash attention by itself; shrinks to fit; keeps no values
 * beside a latent vector; and has the mask of flash attention in 16 bits. The last two are estimates from the dates of the changes.
 */
const since = { allLayers: 'b6325', fit: 'b7410', latentOnly: 'b7830', halfMask: 'b7830' } as const;
export const isSince = (version: string | null, feature: keyof typeof since): boolean =>
  version === null || compareVersions(version, since[feature]) >= 0;

/** CUDA's own share of each GPU that is used: 150 to 500 MiB with the cards and drivers that were seen. */
const cudaContextBytes = 300 * MiB;
const standardContext = 4096;
const automaticSlots = 4;

/** The context that the options ask for, where the engine does not shrink it. */
export function llamacppContext({ shape, options, version }: LlamacppStart): number {
  const trained = shape.contextLength ?? standardContext;
  if (options.context_size === null) return isSince(version, 'fit') ? trained : standardContext;
  return options.context_size === 0 ? trained : options.context_size;
}

/** Whether the engine may change what the options leave open. */
export const shrinksItself = ({ options, version }: LlamacppStart): boolean =>
  isSince(version, 'fit') && options.fit !== 'off';

interface Buffers {
  readonly ubatch: number;
  readonly cells: number;
  readonly flash: boolean;
  /** The mask of flash attention is made in 16 bits; older builds make it in 32 and convert it. */
  readonly halfMask: boolean;
}

/**
 * The buffer that a graph is computed in: the larger of its end, where every token of a batch gets a number for each word of
 * the vocabulary, and of its layers, where without flash attention each head compares each token with the whole context.
 * Newest builds keep less for the end of long prompts; this stays the upper bound.
 */
export function computeBufferBytes(shape: ModelShape, { ubatch, cells, flash, halfMask }: Buffers): number {
  const row = 4 * ubatch;
  const end = row * (shape.vocabulary + shape.hidden);
  const rows = (flash ? 8 : 4) * row * shape.hidden;
  const attention = rows + row * cells * (flash ? (halfMask ? 0.5 : 1.5) : shape.heads + 1);
  const forward = row * (2 * shape.feedForward + (shape.experts?.used ?? 0) * shape.hidden);
  return Math.max(end, attention, forward + 2 * row * shape.hidden);
}

/** The buffer in main memory that tokens and the mask of their context are handed over in. */
const hostBufferBytes = (shape: ModelShape, { ubatch, cells, flash, halfMask }: Buffers): number =>
  ubatch * (flash && halfMask ? 2 * cells + 8 * shape.hidden : 4 * cells + 4 * shape.hidden);

/** Where the memory of a llama.cpp server goes. */
export function llamacppLayout(start: LlamacppStart, context: number, gpuLayers: number): Layout {
  const { shape, options, room, version } = start;
  const { weights } = shape;
  const slots = options.parallel ?? (isSince(version, 'fit') ? automaticSlots : 1);
  const unified = options.kv_unified ?? (options.parallel === null && isSince(version, 'fit'));
  const ubatch = Math.min(options.ubatch_size ?? 512, options.batch_size ?? 2048);
  const automaticFlash = isSince(version, 'allLayers');
  const flash = options.flash_attention === 'on' || (options.flash_attention !== 'off' && automaticFlash);
  const caches = llamacppLayerCaches(shape, {
    ...{ context, slots, unified, ubatch },
    typeK: options.cache_type_k,
    typeV: options.cache_type_v,
    fullWindows: options.swa_full === true,
    latentValues: !isSince(version, 'latentOnly'),
  });
  const halfMask = isSince(version, 'halfMask');
  const buffers = { ubatch, flash, halfMask, cells: padUp(unified ? context : Math.ceil(context / slots), 256) };

  const gpus = gpuLayers === 0 ? [] : (room.gpus ?? [null]);
  const used = options.split_mode === 'none' ? gpus.slice(0, 1) : gpus;
  const main = options.split_mode === 'row' ? Math.min(options.main_gpu ?? 0, used.length - 1) : null;
  const place = placement(shape.layers.length, used.length === 0 ? 0 : gpuLayers, sharesOf(used, options.tensor_split));
  const onGpu = used.map(() => ({ weights: 0, cache: 0 }));
  const host = { weights: weights.embeddingBytes, cache: 0 };
  const hostExperts = options.cpu_moe === true ? shape.layers.length : (options.n_cpu_moe ?? 0);
  shape.layers.forEach((_, layer) => {
    const place_ = onGpu[place(layer) ?? -1];
    const bytes = weights.layerBytes[layer] ?? 0;
    const experts = layer < hostExperts ? (weights.expertBytes[layer] ?? 0) : 0;
    const cache = caches[layer] ?? 0;
    if (place_ === undefined) {
      host.weights += bytes;
      host.cache += cache;
      return;
    }
    place_.weights += bytes - experts;
    host.weights += experts;
    const cachePlace = options.kv_offload === false ? host : ((main === null ? place_ : onGpu[main]) ?? place_);
    cachePlace.cache += cache;
  });
  // A model whose embedding serves as its last matrix gets a second copy of it there.
  const end = (weights.outputBytes === 0 ? weights.embeddingBytes : weights.outputBytes) + weights.otherBytes;
  const last = onGpu[place(shape.layers.length) ?? -1];
  if (last !== undefined) last.weights += end;
  else host.weights += weights.otherBytes + weights.outputBytes;

  const compute = computeBufferBytes(shape, buffers);
  const devices = used.map((gpu, index) =>
    gpuDevice(gpu, [
      { kind: 'weights', bytes: onGpu[index]?.weights ?? 0 },
      { kind: 'kv_cache', bytes: onGpu[index]?.cache ?? 0 },
      { kind: 'activations', bytes: compute },
      { kind: 'driver', bytes: cudaContextBytes },
    ]),
  );
  const hostParts: MemoryPart[] = [
    { kind: 'weights', bytes: host.weights },
    { kind: 'kv_cache', bytes: host.cache },
    { kind: 'activations', bytes: used.length === 0 ? compute : hostBufferBytes(shape, buffers) },
  ];
  return {
    context,
    kvBytesPerToken: bytesPerToken(
      shape.layers,
      cacheNumberBytes(options.cache_type_k),
      cacheNumberBytes(options.cache_type_v),
    ),
    fullRequests: null,
    devices: [...devices, hostDevice(room.host, hostParts)],
    impossible: null,
    notes: notesOf(start, { used: used.length, slots }),
  };
}

function notesOf({ options, room, version }: LlamacppStart, { used, slots }: { used: number; slots: number }) {
  const notes: string[] = [];
  if (room.gpus?.length === 0) notes.push('No GPU was seen: the model runs on the CPU.');
  else if (used === 0) notes.push('No layer is put on a GPU: the model runs on the CPU.');
  if (options.parallel === null && slots > 1) notes.push(`${slots} slots, as this version chooses by itself.`);
  if (isSince(version, 'allLayers') && options.cache_ram !== 0)
    notes.push(`Computed prompts are kept in up to ${options.cache_ram ?? 8192} MiB more of main memory (cache_ram).`);
  if (options.mmproj !== null || options.draft_model !== null)
    notes.push('The projector for images and the draft model are not counted.');
  return notes;
}

/** In which proportion several GPUs share the layers: as asked for, or by the memory that they have free. */
function sharesOf(
  gpus: readonly ({ readonly availableBytes: number } | null)[],
  asked: readonly number[] | null,
): number[] {
  const shares = gpus.map((gpu, index) => (asked === null ? (gpu?.availableBytes ?? 1) : (asked[index] ?? 0)));
  return sum(shares) > 0 ? shares : gpus.map(() => 1);
}

/** The GPU of each layer; the last matrix counts as one more layer. null for main memory. */
function placement(layers: number, gpuLayers: number, shares: readonly number[]): (layer: number) => number | null {
  const first = Math.max(0, layers - gpuLayers);
  const placed = Math.min(gpuLayers, layers + 1);
  const all = sum(shares);
  let passed = 0;
  const bounds = shares.map((share) => {
    passed += share;
    return passed / all;
  });
  return (layer) => {
    if (layer < first || placed === 0 || (layer === layers && gpuLayers <= layers)) return null;
    const found = bounds.findIndex((bound) => (layer - first) / placed < bound);
    return found === -1 ? bounds.length - 1 : found;
  };
}
