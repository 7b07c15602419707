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
  /** The model that answered. */
  served_name: z.string(),
  /** What the client asked for: an alias, or the served name. */
  requested_name: z.string().default(''),
  /** The endpoint that answered: a container's name or an external endpoint's. */
  replica: z.string().nullable().default(null),
  endpoint: z.string(),
  streamed: z.boolean(),
  status: z.number().int(),
  outcome: usageOutcome,
  prompt_tokens: z.number().int(),
  completion_tokens: z.number().int(),
  /** Of the prompt, what the engine had in its cache. */
  cached_tokens: z.number().int().default(0),
  /** True where the engine could not tell the counts (a stream that was broken off). */
  estimated: z.boolean(),
  duration_ms: z.number(),
  /** How much of the duration was spent waiting for a place. */
  queue_ms: z.number().default(0),
  /** From the request's arrival to the engine's first byte: the time to first token of a stream. */
  first_byte_ms: z.number().nullable(),
  /** The code of the error that ended it (docs/reference/errors.md); null where it went well. */
  cause: z.string().nullable().default(null),
});
export type UsageRecord = z.infer<typeof usageRecord>;

const time = z.iso.datetime({ offset: true });
// The database holds no text with a NUL, so none can be asked for.
const name = z.string().refine((text) => !text.includes('\u0000'), 'must not hold a NUL');

/** Which requests are meant; what is left out lets all through. */
export const usageFilter = z.object({
  /** A served name. */
  model: name.optional(),
  key_id: name.optional(),
  user_id: name.optional(),
  organization_id: name.optional(),
  endpoint: name.optional(),
  outcome: usageOutcome.optional(),
  replica: name.optional(),
  /** The first moment that counts. */
  from: time.optional(),
  /** The first moment that does not count any more. */
  to: time.optional(),
});
export type UsageFilter = z.infer<typeof usageFilter>;

/** A row as people see it. */
export const listedUsage = usageRecord.extend({ key_name: z.string().nullable() });
export type ListedUsage = z.infer<typeof listedUsage>;

export const usageRoutes = {
  listUsage: defineRoute({
    method: 'GET',
    path: '/admin/usage',
    access: 'usage:read',
    summary: 'Single requests, newest first, as long as USAGE_RETENTION_DAYS keeps them',
    query: usageFilter.extend({
      limit: z.coerce.number().int().min(1).max(1000).default(100),
      /** The next_cursor of the page before. */
      cursor: z.string().optional(),
    }),
    response: z.object({
      records: z.array(listedUsage),
      /** Null at the end. */
      next_cursor: z.string().nullable(),
    }),
  }),
  exportUsageCsv: defineRoute({
    method: 'GET',
    path: '/admin/usage/export.csv',
    access: 'usage:read',
    summary: 'All single requests that match, newest first, as a table',
    query: usageFilter,
    kind: 'download',
    contentType: 'text/csv; charset=utf-8',
    response: z.string(),
  }),
  exportUsageNdjson: defineRoute({
    method: 'GET',
    path: '/admin/usage/export.ndjson',
    access: 'usage:read',
    summary: 'All single requests that match, newest first, one JSON object a line',
    query: usageFilter,
    kind: 'download',
    contentType: 'application/x-ndjson; charset=utf-8',
    response: z.string(),
  }),
};
