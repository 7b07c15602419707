import { z } from 'zod';
import { defineRoute } from './route.ts';

/** How a request ended. */
export const usageOutcome = z.enum(['ok', 'client_error', 'engine_error', 'client_gone', 'refused']);

/** One request to /v1: a line of the journal and a row of the table `usage`. */
export const usageRecord = z.object({
  request_id: z.string(),
  at: z.iso.datetime(),
  key_id: z.string().nullable(),
  user_id: z.string().nullable(),
  organization_id: z.string().nullable(),
  model_id: z.string().nullable(),
  served_name: z.string(),
  endpoint: z.string(),
  streamed: z.boolean(),
  status: z.number().int(),
  outcome: usageOutcome,
  prompt_tokens: z.number().int(),
  completion_tokens: z.number().int(),
  /** True where the engine could not tell the counts (a stream that was broken off). */
  estimated: z.boolean(),
  duration_ms: z.number(),
  first_byte_ms: z.number().nullable(),
});
export type UsageRecord = z.infer<typeof usageRecord>;

export const usageRoutes = {
  listUsage: defineRoute({
    method: 'GET',
    path: '/admin/usage',
    access: 'usage:read',
    summary: 'The newest requests',
    query: z.object({
      limit: z.coerce.number().int().min(1).max(1000).default(100),
      model: z.string().optional(),
      key_id: z.string().optional(),
    }),
    response: z.object({
      records: z.array(usageRecord.extend({ key_name: z.string().nullable() })),
      totals: z.object({
        requests: z.number().int(),
        prompt_tokens: z.number().int(),
        completion_tokens: z.number().int(),
      }),
    }),
  }),
};
