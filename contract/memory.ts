import { z } from 'zod';
import { defineRoute } from './route.ts';

/**
 * What memory is taken for. `runtime` is kernels and the exchange between GPUs, `driver` CUDA's own share; `reserve` is the rest
 * of vLLM's share, which holds more cache than one request needs.
 */
export const memoryPartKind = z.enum(['weights', 'kv_cache', 'activations', 'graphs', 'runtime', 'driver', 'reserve']);
export type MemoryPartKind = z.infer<typeof memoryPartKind>;

const memoryPart = z.object({ kind: memoryPartKind, bytes: z.number() });
export type MemoryPart = z.infer<typeof memoryPart>;

/** One GPU, or the host's main memory. */
const memoryDevice = z.object({
  device: z.enum(['gpu', 'host']),
  /** The GPU's identity; null for the host, and where it is not known which GPUs there are. */
  uuid: z.string().nullable(),
  name: z.string(),
  total_bytes: z.number().nullable(),
  /** What this model may take: the total without what other models hold and other programs use. */
  available_bytes: z.number().nullable(),
  planned_bytes: z.number(),
  parts: z.array(memoryPart),
  fits: z.boolean().nullable(),
});
export type MemoryDevice = z.infer<typeof memoryDevice>;

/** A change that helps, as options that can be taken over. */
const memorySuggestion = z.object({
  text: z.string(),
  options: z.record(z.string(), z.union([z.number(), z.string(), z.boolean()])),
});
export type MemorySuggestion = z.infer<typeof memorySuggestion>;

/** Where a model's memory will go. An estimate: `planned` is compared with what the engine reports once it has run. */
export const memoryPlan = z.object({
  /** null where it is not known how much there is. */
  fits: z.boolean().nullable(),
  /** Why it does not fit, or can't be told. */
  reason: z.string().nullable(),
  /** Tokens that are planned for: of one request with vLLM, of all slots together with llama.cpp. */
  context: z.number().int(),
  /** The longest context that fits with everything else as it is; null where it can't be told, 0 where none does. */
  largest_context: z.number().int().nullable(),
  /** What one more token of context costs, over all GPUs. */
  kv_bytes_per_token: z.number(),
  /** Of vLLM: how many requests of the whole context the cache holds at once. */
  full_requests: z.number().nullable(),
  devices: z.array(memoryDevice),
  suggestions: z.array(memorySuggestion),
  /** What was assumed. */
  notes: z.array(z.string()),
});
export type MemoryPlan = z.infer<typeof memoryPlan>;

/** Sums over all GPUs and the host, for the comparison. A part that nobody told is null. */
export const memoryFigures = z.object({
  weights: z.number().nullable(),
  kv_cache: z.number().nullable(),
  activations: z.number().nullable(),
  graphs: z.number().nullable(),
  runtime: z.number().nullable(),
  /** Tokens that the cache holds. */
  cache_tokens: z.number().nullable(),
});
export type MemoryFigures = z.infer<typeof memoryFigures>;

/** What an engine said of its memory, beside what was planned for the same start. */
export const memoryReport = z.object({
  at: z.iso.datetime(),
  planned: memoryFigures.nullable(),
  reported: memoryFigures,
});
export type MemoryReport = z.infer<typeof memoryReport>;

/** NVIDIA's name of a whole GPU; containers are given GPUs by it. */
export const gpuId = z.string().regex(/^GPU-[0-9A-Za-z-]{1,64}$/);

export const gpu = z.object({
  index: z.number().int(),
  uuid: gpuId,
  name: z.string(),
  total_bytes: z.number(),
  used_bytes: z.number(),
  free_bytes: z.number(),
  driver_version: z.string().nullable(),
  utilization_percent: z.number().nullable(),
});
export type Gpu = z.infer<typeof gpu>;

/** The part of a GPU that a replica of a model holds. */
export const gpuShare = z.object({ uuid: gpuId, bytes: z.number(), replica: z.number().int().default(0) });
export type GpuShare = z.infer<typeof gpuShare>;

export const gpuInventory = z.object({
  /** Who told: DCGM's exporter, nvidia-smi, only Docker's NVIDIA runtime (then how many is not known), or nobody. */
  source: z.enum(['dcgm', 'nvidia-smi', 'docker', 'none']),
  /** Whether Docker can give them to containers (NVIDIA's container toolkit); null where no Docker Engine answers. */
  usable: z.boolean().nullable(),
  gpus: z.array(gpu),
});
export type GpuInventory = z.infer<typeof gpuInventory>;

const reservation = z.object({ model_id: z.string(), served_name: z.string(), shares: z.array(gpuShare) });

export const memoryRoutes = {
  listGpus: defineRoute({
    method: 'GET',
    path: '/admin/gpus',
    access: 'system:read',
    summary: 'The GPUs of this machine, and which models hold their memory',
    response: gpuInventory.extend({ reservations: z.array(reservation) }),
  }),
  modelMemory: defineRoute({
    method: 'GET',
    path: '/admin/models/:id/memory',
    access: 'models:read',
    summary: "Where a model's memory goes: the plan, and what its engine reported last",
    params: z.object({ id: z.string() }),
    response: z.object({ plan: memoryPlan.nullable(), report: memoryReport.nullable() }),
  }),
};
