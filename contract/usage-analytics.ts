import { z } from 'zod';
import { defineRoute } from './route.ts';
import { usageFilter, usageOutcome } from './usage.ts';

/**
 * Where the bars of the roll-ups' histograms end, in ms; one more bar holds what is longer. Each is twice the one before,
 * so a percentile is off by less than its bar. They are columns of the roll-ups: another list needs a migration.
 */
export const histogramBoundsMs = [
  25, 50, 100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 102_400,
] as const;

export const usageBucket = z.enum(['hour', 'day']);
export type UsageBucket = z.infer<typeof usageBucket>;

export const usageGroup = z.enum(['none', 'model', 'key', 'user', 'organization', 'endpoint', 'outcome', 'replica']);
export type UsageGroup = z.infer<typeof usageGroup>;

const analyticsQuery = usageFilter.extend({
  /** Hours or days, both of UTC. Left out: hours up to eight days, days beyond. */
  bucket: usageBucket.optional(),
});
export type AnalyticsQuery = z.infer<typeof analyticsQuery>;

/** The range that was answered: what was asked for, widened to whole hours or days of UTC. */
const answeredRange = z.object({
  from: z.iso.datetime(),
  to: z.iso.datetime(),
  bucket: usageBucket,
});

const count = z.number().int();

const usageSeries = answeredRange.extend({
  group: usageGroup,
  /** The start of every hour or day of the range, also of those without a request. */
  times: z.array(z.iso.datetime()),
  /** The largest groups by requests, then one with the id null that holds all others. One value for each of `times`. */
  series: z.array(
    z.object({
      id: z.string().nullable(),
      name: z.string(),
      requests: z.array(count),
      errors: z.array(count),
      prompt_tokens: z.array(count),
      completion_tokens: z.array(count),
      cached_tokens: z.array(count),
    }),
  ),
});
export type UsageSeries = z.infer<typeof usageSeries>;

const ranked = z.object({
  id: z.string(),
  name: z.string(),
  requests: count,
  errors: count,
  tokens: count,
});

/** Null where nothing was measured. */
const milliseconds = z.number().nullable();

const usageSummary = answeredRange.extend({
  totals: z.object({
    requests: count,
    /** All that did not end well, but for clients that went away. */
    errors: count,
    /** From 0 to 1. */
    error_share: z.number(),
    prompt_tokens: count,
    completion_tokens: count,
    cached_tokens: count,
    /** Requests whose tokens the engine could not tell. */
    estimated: count,
    /** Of streams: from the request's arrival to the first token. */
    ttft_p50_ms: milliseconds,
    ttft_p95_ms: milliseconds,
    duration_p50_ms: milliseconds,
    duration_p95_ms: milliseconds,
    queue_mean_ms: milliseconds,
  }),
  outcomes: z.array(z.object({ outcome: usageOutcome, requests: count })),
  models: z.array(ranked),
  keys: z.array(ranked),
});
export type UsageSummary = z.infer<typeof usageSummary>;

export const usageAnalyticsRoutes = {
  usageSeries: defineRoute({
    method: 'GET',
    path: '/admin/usage/series',
    access: 'usage:read',
    summary: 'Requests and tokens over time; the last 24 hours where no range is given',
    query: analyticsQuery.extend({ group: usageGroup.default('none') }),
    response: usageSeries,
  }),
  usageSummary: defineRoute({
    method: 'GET',
    path: '/admin/usage/summary',
    access: 'usage:read',
    summary: 'Totals, shares and the largest models and keys; the last 24 hours where no range is given',
    query: analyticsQuery,
    response: usageSummary,
  }),
};
