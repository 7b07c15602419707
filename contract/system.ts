import { z } from 'zod';
import { offlinePolicy } from './offline-policy.ts';
import { defineRoute } from './route.ts';

/** critical: an engine, nothing can be served without one; required: compose starts it; optional: monitoring and extras. */
export const imageRole = z.enum(['critical', 'required', 'optional']);
export type ImageRole = z.infer<typeof imageRole>;

/** One image of the list as the Engine has it. The guide's fields (image or name, cached, size_mb, created, purpose) and more. */
export const imageStatus = z.object({
  image: z.string(),
  name: z.string(),
  cached: z.boolean(),
  size_mb: z.number().nullable(),
  created: z.string().nullable(),
  purpose: z.string(),
  role: imageRole,
  /** matches: it is the image that the package's bill records; unknown: there is no bill to compare with. */
  identity: z.enum(['matches', 'differs', 'unknown', 'absent']),
  id: z.string().nullable(),
  /** The archive of the package that holds it. */
  file: z.string(),
  warning: z.string().nullable(),
});
export type ImageStatus = z.infer<typeof imageStatus>;

/** GET /admin/system/docker-images: the guide's shape. `make verify-offline` prints the same object. */
export const imageReadiness = z.object({
  offline_mode: z.boolean(),
  offline_ready: z.boolean(),
  engines: z.object({ vllm: imageStatus, llamacpp: imageStatus }),
  infrastructure: z.array(imageStatus),
  summary: z.object({
    critical_images_cached: z.boolean(),
    total_images_checked: z.number().int(),
    cached_count: z.number().int(),
  }),
  recommendations: z.array(z.string()),
  /** Which store the Engine keeps images in: identities are told differently there. */
  image_store: z.enum(['graphdriver', 'containerd']),
  bill: z.object({ created_at: z.string(), cortex_version: z.string() }).nullable(),
});
export type ImageReadiness = z.infer<typeof imageReadiness>;

export const dockerStatus = z.object({
  available: z.boolean(),
  address: z.string(),
  version: z.string().nullable(),
  image_store: z.enum(['graphdriver', 'containerd']).nullable(),
  /** Why it is not available and how to get one. */
  problem: z.string().nullable(),
  hint: z.string().nullable(),
});

export const systemSummary = z.object({
  version: z.string(),
  started_at: z.iso.datetime(),
  offline_mode: z.boolean(),
  offline: offlinePolicy,
  docker: dockerStatus,
  database: z.object({ kind: z.enum(['embedded', 'postgres']), ok: z.boolean() }),
  models_dir: z.string(),
  host: z.object({
    hostname: z.string(),
    cpus: z.number().int(),
    cpu_percent: z.number(),
    memory_total_bytes: z.number(),
    memory_used_bytes: z.number(),
    disk_total_bytes: z.number().nullable(),
    disk_free_bytes: z.number().nullable(),
  }),
  gpus: z.array(z.object({ index: z.number().int(), name: z.string(), memory_total_bytes: z.number() })),
});
export type SystemSummary = z.infer<typeof systemSummary>;

export const health = z.object({
  status: z.enum(['ok', 'degraded']),
  version: z.string(),
  checks: z.object({
    database: z.enum(['ok', 'failed']),
    docker: z.enum(['ok', 'absent']),
    usage_journal: z.enum(['ok', 'failed']),
  }),
  models: z.object({ ready: z.number().int(), total: z.number().int() }),
});
export type Health = z.infer<typeof health>;

export const systemRoutes = {
  health: defineRoute({
    method: 'GET',
    path: '/health',
    access: 'public',
    summary: 'Is Cortex able to serve',
    response: health,
  }),
  dockerImages: defineRoute({
    method: 'GET',
    path: '/admin/system/docker-images',
    access: 'system:read',
    summary: 'Are all images there, with the identity that the package records',
    response: imageReadiness,
  }),
  systemSummary: defineRoute({
    method: 'GET',
    path: '/admin/system/summary',
    access: 'system:read',
    summary: 'Version, Docker, database, host and GPUs',
    response: systemSummary,
  }),
};
