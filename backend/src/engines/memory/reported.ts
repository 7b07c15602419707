import type { MemoryFigures } from '../../../../contract/memory.ts';
import { GiB, MiB } from './layout.ts';
import { sum } from './shape.ts';

/**
 * What the engines write of their memory while they start. Sources: vllm/worker/worker.py and vllm/v1/worker/gpu_worker.py
 * with gpu_model_runner.py and kv_cache_utils.py beside it, 0.6.3 to 0.30; llama.cpp's src/llama-model.cpp, llama-context.cpp
 * and llama-kv-cache*.cpp, and their older names (llm_load_tensors, llama_new_context_with_model, llama_kv_cache_init).
 * Newest builds of llama.cpp only write these lines with --verbosity 4 or more.
 */

const none: MemoryFigures = {
  weights: null,
  kv_cache: null,
  activations: null,
  graphs: null,
  runtime: null,
  cache_tokens: null,
};

/** null where the lines tell nothing of it. */
export function reportedMemory(engine: 'vllm' | 'llamacpp', lines: readonly string[]): MemoryFigures | null {
  const figures = engine === 'vllm' ? vllmMemory(lines) : llamacppMemory(lines);
  return Object.values(figures).every((value) => value === null) ? null : figures;
}

type VllmPart = Exclude<keyof MemoryFigures, 'cache_tokens'>;

/** vLLM writes GB in some versions and always means 2^30 bytes. */
const vllmParts: readonly (readonly [VllmPart, RegExp])[] = [
  ['weights', /Loading model weights took ([\d.]+) Gi?B/],
  ['weights', /Model loading took ([\d.]+) Gi?B/],
  ['weights', /model weights take ([\d.]+) ?GiB/],
  ['weights', /([\d.]+) GiB for weights?\b/],
  ['runtime', /non_torch_memory(?: takes |=|\s+)(-?[\d.]+) ?GiB/],
  ['runtime', /([\d.]+) GiB for non-torch memory/],
  ['activations', /PyTorch activation peak memory(?: takes|\s+) ?([\d.]+) ?GiB/],
  ['activations', /([\d.]+) GiB for peak activation/],
  ['kv_cache', /reserved for KV Cache is (-?[\d.]+) ?GiB/],
  ['kv_cache', /available_kv_cache_memory\s+(-?[\d.]+) ?GiB/],
  ['kv_cache', /\bkv_cache_size=(-?[\d.]+) ?GiB/],
  ['kv_cache', /Available KV cache memory: (-?[\d.]+) GiB/],
  ['graphs', /Graph capturing finished in [\d.]+ secs?, took (-?[\d.]+) GiB/],
];
const vllmTokens = /GPU KV cache size: ([\d,]+) tokens/;
const vllmBlocks = /# (?:GPU|CUDA|cuda) blocks: (\d+)/;
const vllmBlockTokens = 16;
/** Each GPU of a split model has a process that writes its own lines. */
const worker = /^\((?:Vllm)?Worker[^)]*\)/;

function vllmMemory(lines: readonly string[]): MemoryFigures {
  const parts = new Map<VllmPart, Map<string, number>>();
  let cacheTokens: number | null = null;
  for (const line of lines) {
    const process = worker.exec(line)?.[0] ?? '';
    for (const [part, pattern] of vllmParts) {
      const found = pattern.exec(line)?.[1];
      if (found === undefined) continue;
      const processes = parts.get(part) ?? new Map<string, number>();
      parts.set(part, processes.set(process, Number(found) * GiB));
    }
    const tokens = vllmTokens.exec(line)?.[1];
    const blocks = vllmBlocks.exec(line)?.[1];
    if (tokens !== undefined) cacheTokens = Number(tokens.replaceAll(',', ''));
    else if (blocks !== undefined) cacheTokens = Number(blocks) * vllmBlockTokens;
  }
  const of = (part: VllmPart): number | null => {
    const processes = parts.get(part);
    return processes === undefined ? null : Math.round(sum([...processes.values()]));
  };
  return {
    weights: of('weights'),
    kv_cache: of('kv_cache'),
    activations: of('activations'),
    graphs: of('graphs'),
    runtime: of('runtime'),
    cache_tokens: cacheTokens,
  };
}

const buffer = /(\S+)\s+(model|KV|RS|compute|output) buffer size\s*=\s*([\d.]+) MiB/;
const oldModelBuffer = /llm_load_tensors:\s+(\S+) buffer size\s*=\s*([\d.]+) MiB/;
const modelSize = /(?:model|file) size\s*=\s*([\d.]+) ([GM])iB/;
const cacheSize = /(?:KV self size\s*=|llama_kv_cache\w*: size =)\s*([\d.]+) MiB/;
const contextLine = /\bn_ctx\s*= (\d+)/;

function llamacppMemory(lines: readonly string[]): MemoryFigures {
  const weights: number[] = [];
  const caches: number[] = [];
  const cacheSums: number[] = [];
  /** A graph is measured several times; the largest is kept. */
  const compute = new Map<string, number>();
  let size: number | null = null;
  let context: number | null = null;
  for (const line of lines) {
    const [, device = '', kind, mib] = buffer.exec(line) ?? [];
    const old = kind === undefined ? oldModelBuffer.exec(line)?.[2] : undefined;
    const bytes = Number(mib ?? old ?? 0) * MiB;
    if (kind === 'model' || old !== undefined) weights.push(bytes);
    else if (kind === 'KV' || kind === 'RS') caches.push(bytes);
    else if (kind !== undefined) {
      const key = `${kind} ${device}`;
      compute.set(key, Math.max(bytes, compute.get(key) ?? 0));
    }
    const whole = modelSize.exec(line);
    if (whole !== null) size ??= Number(whole[1]) * (whole[2] === 'G' ? GiB : MiB);
    const cache = cacheSize.exec(line)?.[1];
    if (cache !== undefined) cacheSums.push(Number(cache) * MiB);
    const tokens = contextLine.exec(line)?.[1];
    if (tokens !== undefined) context ??= Number(tokens);
  }
  // Where weights and cache are one mapping of the file, the lines of the devices say 0.
  const totalOf = (values: readonly number[], otherwise: number | null) => {
    const total = sum(values);
    return total > 0 ? Math.round(total) : otherwise === null ? null : Math.round(otherwise);
  };
  return {
    ...none,
    weights: totalOf(weights, size),
    kv_cache: totalOf(caches, cacheSums.length === 0 ? null : sum(cacheSums)),
    activations: compute.size === 0 ? null : Math.round(sum([...compute.values()])),
    cache_tokens: context,
  };
}
