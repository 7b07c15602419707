import { z } from 'zod';
import { defineRoute } from './route.ts';

/** A model that is loaded by its first request. */
export const onDemandSettings = z.strictObject({
  /** It is unloaded after so long without a request; null leaves it loaded until room is needed. */
  idle_seconds: z.number().int().min(1).max(604_800).nullable().default(900),
  /** A model makes room for those with the same or a higher priority, while nobody uses it. */
  priority: z.number().int().min(-1000).max(1000).default(0),
  /** Of the models with the same group one is loaded at a time; null is none. */
  group: z.string().trim().min(1).max(64).nullable().default(null),
});
export type OnDemandSettings = z.output<typeof onDemandSettings>;

const shape = z.object({ on_demand: onDemandSettings.nullable() });
const params = z.object({ id: z.string() });

export const onDemandRoutes = {
  getOnDemand: defineRoute({
    method: 'GET',
    path: '/admin/models/:id/on-demand',
    access: 'models:read',
    summary: 'Whether a model is loaded by its first request; null is no',
    params,
    response: shape,
  }),
  setOnDemand: defineRoute({
    method: 'POST',
    path: '/admin/models/:id/on-demand',
    access: 'models:write',
    summary: 'Have a model loaded by its first request, or no more',
    params,
    body: shape,
    response: shape,
  }),
};
