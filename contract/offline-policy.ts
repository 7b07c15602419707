import { z } from 'zod';

/** What a registry said when Docker asked it, for the image of an engine. */
export const registryAnswer = z.object({
  registry: z.string(),
  image: z.string(),
  answers: z.boolean(),
  /** Why it counts as away. */
  reason: z.string().nullable(),
  asked_at: z.iso.datetime(),
});
export type RegistryAnswer = z.infer<typeof registryAnswer>;

/** Whether images may be pulled, and by which setting. */
export const offlinePolicy = z.object({
  /** on: OFFLINE_MODE; detected: no registry answers; off: images may be pulled where they are missing. */
  mode: z.enum(['on', 'detected', 'off']),
  auto_detect: z.boolean(),
  require_image_precache: z.boolean(),
  image_pull_timeout_seconds: z.number().int(),
  /** The registries of the engines' images as they answered last; empty where nobody asks. */
  registries: z.array(registryAnswer),
});
export type OfflinePolicy = z.infer<typeof offlinePolicy>;
