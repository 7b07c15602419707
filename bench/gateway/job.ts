import { z } from 'zod';

const base = {
  port: z.number().int(),
  /** What the client sends to this target: its key, and what tells the target where to go. */
  headers: z.record(z.string(), z.string()),
  /** Connections, each with one request at a time. */
  lanes: z.number().int(),
};

/** Closed loop: each lane asks again as soon as it was answered. */
const loopJob = z.object({
  ...base,
  /** `flood` sends keys that are nobody's, a new one each time, and wants a 401. */
  kind: z.enum(['json', 'flood']),
  warmSeconds: z.number(),
  seconds: z.number(),
  /** Every byte must be the mock's; otherwise the first answer must mean the same and the next ones equal it. */
  exact: z.boolean(),
  /** A header that only this target adds. */
  marker: z.string().nullable(),
});

const streamJob = z.object({
  ...base,
  kind: z.literal('stream'),
  tokens: z.number().int(),
  perSecond: z.number().int(),
  /** Streams that a lane reads one after the other. */
  repeats: z.number().int(),
  /** The lanes start spread over this time. */
  rampMs: z.number(),
  /** A large document request beside the streams, again and again. */
  bulky: z.object({ bytes: z.number().int(), everyMs: z.number() }).nullable(),
});

export const job = z.discriminatedUnion('kind', [loopJob, streamJob]);
export type LoopJob = z.infer<typeof loopJob>;
export type StreamJob = z.infer<typeof streamJob>;
export type Job = z.infer<typeof job>;

const spread = z.object({ p50: z.number(), p99: z.number(), max: z.number() });
export type Spread = z.infer<typeof spread>;

/** What the load prints at its end. Times in milliseconds. */
export const outcome = z.object({
  /** Requests that were answered, all of them. */
  answered: z.number().int(),
  /** Of these, a second within the measured time (closed loop). */
  rate: z.number(),
  latency: spread,
  firstToken: spread,
  /** Between two events of a stream. */
  gap: spread,
  failures: z.number().int(),
  /** The first of them. */
  examples: z.array(z.string()),
});
export type Outcome = z.infer<typeof outcome>;

/** Printed by a stream load once every lane has had its first token. */
export const openedLine = 'opened';
