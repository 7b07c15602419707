import { compareVersions } from '../command-line.ts';
import { bytesPerToken, vllmLayerCaches } from './kv-cache.ts';
import { GiB, gpuDevice, hostDevice, type Layout, MiB, type Room } from './layout.ts';
import type { VllmMemoryOptions } from './options.ts';
import { type ModelShape, sum } from './shape.ts';

export interface VllmStart {
  readonly shape: ModelShape;
  readonly options: VllmMemoryOptions;
  /** `0.6.3`; null counts as the newest. */
  readonly version: string | null;
  readonly room: Room;
}

const isBefore = (version: string | null, bound: string): boolean =>
  version !== null && compareVersions(version, bound) < 0;

/** Before it the first engine (V0) ran by default; from it on layers with a window keep only that. */
const v1Since = '0.8.0';
const hybridSince = '0.9.0';
const newestStandardUtilization = 0.9;
const standardContext = 4096;

/** What torch does not count: kernels, and the exchange between GPUs (vLLM's "non_torch_memory": 0.05 to 0.26 GiB on one). */
const nonTorchBytes = 0.2 * GiB;
const exchangeBytes = 0.6 * GiB;
/** CUDA's own share of a GPU, beside the share that vLLM was given. */
const cudaContextBytes = 0.45 * GiB;
/** CUDA graphs, for each layer: 0.17 GiB were reported for 28 layers of the first engine, 0.2 to 0.7 GiB for 32 of the second. */
const graphBytesPerLayer = { v0: 6 * MiB, v1: 12 * MiB } as const;

export const vllmContext = ({ shape, options }: VllmStart): number =>
  options.max_model_len ?? shape.contextLength ?? standardContext;

/** GPUs that one start needs. */
export const vllmWorld = ({ options }: { readonly options: VllmMemoryOptions }): number =>
  (options.tensor_parallel_size ?? 1) * (options.pipeline_parallel_size ?? 1) * (options.data_parallel_size ?? 1);

export const vllmUtilization = ({ options }: { readonly options: VllmMemoryOptions }): number =>
  options.gpu_memory_utilization ?? newestStandardUtilization;

interface Batch {
  readonly tokens: number;
  readonly requests: number;
}

/** How much is computed in one step, as vLLM chooses it by version and GPU. */
export function vllmBatch({ options, version, room }: VllmStart, context: number): Batch {
  const first = room.gpus?.[0];
  if (isBefore(version, v1Since)) {
    const inPieces = options.enable_chunked_prefill ?? context > 32_768;
    const standard = inPieces ? (isBefore(version, '0.6.4') ? 512 : 2048) : Math.max(context, 2048);
    return { tokens: options.max_num_batched_tokens ?? standard, requests: options.max_num_seqs ?? 256 };
  }
  const large = first !== undefined && first.totalBytes >= 70 * GiB && !/a100/i.test(first.name);
  return {
    tokens: options.max_num_batched_tokens ?? (large ? 8192 : 2048),
    requests: options.max_num_seqs ?? (large ? 1024 : 256),
  };
}

/**
 * The peak of the profiling run: the larger of a layer's feed-forward over a whole batch, and of choosing the next word of
 * every request, which the first engine does with about ten numbers of 32 bits for each word of the vocabulary and the second
 * with about three. The last is done on one GPU and so is not split.
 */
export function vllmActivationBytes(
  shape: ModelShape,
  { tokens, requests }: Batch,
  { tensorParallel, v0 }: { readonly tensorParallel: number; readonly v0: boolean },
): number {
  const hidden = tokens * shape.hidden * 2;
  const forward = (1.1 * tokens * 3 * shape.feedForward * 2) / tensorParallel + 2.2 * hidden;
  const choice = Math.min(tokens, requests) * shape.vocabulary * 4 * (v0 ? 9.65 : 3.25) + hidden;
  return Math.max(forward, choice);
}

/** How many bytes of weights one byte of the files becomes. */
function weightFactor({ shape, options }: VllmStart): number {
  const { weightNumberBytes: stored } = shape;
  if (stored === null) return 1;
  if (options.quantization === 'fp8') return 1 / stored;
  if (options.quantization === 'bitsandbytes') return 0.56 / stored;
  const wide = options.dtype === 'float32' || options.dtype === 'float';
  return (wide ? 4 : 2) / stored;
}

const cacheNumberBytes = ({ shape, options }: VllmStart): number => {
  if ((options.kv_cache_dtype ?? 'auto') !== 'auto') return 1;
  return (options.dtype === 'float32' || options.dtype === 'float') && shape.weightNumberBytes !== null ? 4 : 2;
};

/** Why the model can't be split as asked for; null where it can. */
export function vllmSplitProblem({ shape, options, room }: VllmStart): string | null {
  const tensorParallel = options.tensor_parallel_size ?? 1;
  if (shape.heads % tensorParallel !== 0)
    return `The ${shape.heads} attention heads can't be split over ${tensorParallel} GPUs.`;
  if ((options.pipeline_parallel_size ?? 1) > shape.layers.length)
    return `${shape.layers.length} layers can't be split into ${options.pipeline_parallel_size} stages.`;
  const world = vllmWorld({ options });
  if (room.gpus === null || room.gpus.length >= world) return null;
  if (room.gpus.length === 0) return 'vLLM needs an NVIDIA GPU, and none was seen.';
  return `It needs ${world} GPUs; ${room.gpus.length} can be used.`;
}

/**
 * Where the memory of a vLLM server goes. It takes a share of each GPU and fills with cache what weights and the profiling
 * run leave of it; CUDA graphs and CUDA itself come on top. It starts where the cache holds one request of the whole context.
 */
export function vllmLayout(start: VllmStart, context: number): Layout {
  const { shape, options, room, version } = start;
  const { weights } = shape;
  const tensorParallel = options.tensor_parallel_size ?? 1;
  const stages = Math.min(options.pipeline_parallel_size ?? 1, shape.layers.length);
  const world = vllmWorld(start);
  const v0 = isBefore(version, v1Since);
  const batch = vllmBatch(start, context);
  const numberBytes = cacheNumberBytes(start);
  const caches = vllmLayerCaches(shape, {
    ...{ context, numberBytes, tensorParallel },
    blockTokens: options.block_size ?? 16,
    batchedTokens: batch.tokens,
    hybrid: !isBefore(version, hybridSince),
  });
  const activations = vllmActivationBytes(shape, batch, { tensorParallel, v0 });
  const nonTorch = nonTorchBytes + (world > 1 ? exchangeBytes : 0);
  const offload = (options.cpu_offload_gb ?? 0) * GiB;
  const factor = weightFactor(start);

  let fullRequests: number | null = null;
  let offloaded = 0;
  const devices = Array.from({ length: world }, (_, rank) => {
    const gpu = room.gpus?.[rank] ?? null;
    const stage = Math.floor(rank / tensorParallel) % stages;
    const [from, to] = [bound(shape.layers.length, stage, stages), bound(shape.layers.length, stage + 1, stages)];
    const isLast = stage === stages - 1;
    const end = weights.outputBytes > 0 ? weights.outputBytes : stages > 1 ? weights.embeddingBytes : 0;
    const stored =
      sum(weights.layerBytes.slice(from, to)) +
      (stage === 0 ? weights.embeddingBytes + weights.otherBytes : 0) +
      (isLast ? end : 0);
    const loaded = (stored * factor) / tensorParallel;
    const kept = Math.max(0, loaded - offload);
    offloaded += loaded - kept;
    const needed = sum(caches.slice(from, to));
    const graphs = options.enforce_eager === true ? 0 : (to - from) * graphBytesPerLayer[v0 ? 'v0' : 'v1'];
    const budget = gpu === null ? null : gpu.totalBytes * vllmUtilization(start);
    const rest = budget === null ? null : budget - kept - activations - nonTorch;
    const cache = options.kv_cache_memory_bytes ?? rest;
    if (cache !== null) fullRequests = Math.min(fullRequests ?? Number.POSITIVE_INFINITY, cache / needed);
    const device = gpuDevice(gpu, [
      { kind: 'weights', bytes: kept },
      { kind: 'kv_cache', bytes: needed },
      { kind: 'activations', bytes: activations },
      { kind: 'graphs', bytes: graphs },
      { kind: 'runtime', bytes: nonTorch },
      { kind: 'driver', bytes: cudaContextBytes },
      { kind: 'reserve', bytes: Math.max(0, (cache ?? 0) - needed) },
    ]);
    return cache !== null && cache < needed ? { ...device, fits: false } : device;
  });
  const swap = isBefore(version, v1Since) ? (options.swap_space ?? 4) * GiB * world : 0;
  const host = hostDevice(room.host, [
    { kind: 'weights', bytes: offloaded },
    { kind: 'reserve', bytes: swap + (options.kv_offloading_size ?? 0) * GiB },
  ]);
  return {
    context,
    kvBytesPerToken: bytesPerToken(shape.layers, numberBytes),
    fullRequests: Number.isFinite(fullRequests ?? Number.NaN) ? Math.max(0, fullRequests ?? 0) : null,
    devices: host.planned_bytes > 0 ? [...devices, host] : devices,
    impossible: vllmSplitProblem(start),
    notes: [
      `Planned for steps of ${batch.tokens} tokens and up to ${batch.requests} requests.`,
      ...(options.speculative_config === null ? [] : ['The model that guesses tokens is not counted.']),
    ],
  };
}

const bound = (layers: number, stage: number, stages: number): number => Math.round((layers * stage) / stages);
