import { z } from 'zod';
import { defineRoute } from './route.ts';

/** How far a pull has come. Docker tells a layer's size only when it begins to download it. */
export const pullProgress = z.object({
  phase: z.enum(['asking', 'downloading', 'unpacking']),
  layers: z.number().int(),
  layers_done: z.number().int(),
  /** Bytes of layers that were downloaded; those that were there already don't count. */
  done_bytes: z.number(),
  /** Null until every layer has told its size. */
  total_bytes: z.number().nullable(),
  bytes_per_second: z.number().nullable(),
  seconds_left: z.number().nullable(),
});
export type PullProgress = z.infer<typeof pullProgress>;

export const imagePull = pullProgress.extend({
  image: z.string(),
  started_at: z.iso.datetime(),
  /** How many starts wait for it. When none does any more, it ends. */
  waiting: z.number().int(),
});
export type ImagePull = z.infer<typeof imagePull>;

export const imagePullRoutes = {
  listImagePulls: defineRoute({
    method: 'GET',
    path: '/admin/system/image-pulls',
    access: 'models:read',
    summary: 'Images that are being pulled, with bytes, rate and time left',
    response: z.object({ pulls: z.array(imagePull) }),
  }),
  cancelImagePull: defineRoute({
    method: 'POST',
    path: '/admin/system/image-pulls/cancel',
    access: 'models:write',
    summary: 'End the pull of an image; the starts that wait for it fail with that reason',
    body: z.object({ image: z.string().min(1).max(512) }),
    response: z.object({ status: z.literal('cancelled') }),
  }),
};
