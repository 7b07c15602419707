import { z } from 'zod';
import { servedName } from './models.ts';
import { defineRoute } from './route.ts';
import { usageRecord } from './usage.ts';

/** Which requests are kept whole, and until when. */
export const inspection = z.object({
  /** Nothing is kept from then on; what was kept is forgotten an hour later. */
  until: z.iso.datetime(),
  /** Null is every model. */
  served_name: servedName.nullable(),
  /** Null is every key, and the playground. */
  key_id: z.string().nullable(),
  started_by: z.string(),
});
export type Inspection = z.infer<typeof inspection>;

/** Of a body no more is kept. */
export const inspectedBytes = 64 * 1024;

/** One direction of a request. */
export const inspectedMessage = z.object({
  /** Those that tell something about the request; none that can hold a secret. */
  headers: z.record(z.string(), z.string()),
  /** As text, its first part; null where it is none (audio). What looks like a key is blotted out. */
  body: z.string().nullable(),
  /** Of the whole body. */
  bytes: z.number().int(),
});
export type InspectedMessage = z.infer<typeof inspectedMessage>;

export const inspectedRequest = z.object({
  record: usageRecord,
  /** What the gateway itself took. */
  overhead_ms: z.number(),
  /** From the request's going to the engine to the first byte of its answer. */
  engine_ms: z.number().nullable(),
  request: inspectedMessage,
  response: inspectedMessage,
});
export type InspectedRequest = z.infer<typeof inspectedRequest>;

export const inspectorRoutes = {
  getInspector: defineRoute({
    method: 'GET',
    path: '/admin/inspector',
    access: 'requests:inspect',
    summary: 'Whether requests are inspected, and those that were kept, newest first',
    response: z.object({ inspection: inspection.nullable(), requests: z.array(usageRecord) }),
  }),
  startInspector: defineRoute({
    method: 'POST',
    path: '/admin/inspector',
    access: 'requests:inspect',
    summary: 'Keep the next requests with their questions and answers, in memory and for some minutes',
    body: z.object({
      minutes: z.number().int().min(1).max(60).default(15),
      served_name: servedName.nullable().default(null),
      key_id: z.string().nullable().default(null),
    }),
    response: z.object({ inspection }),
  }),
  stopInspector: defineRoute({
    method: 'DELETE',
    path: '/admin/inspector',
    access: 'requests:inspect',
    summary: 'Keep no more requests, and forget those that were kept',
    response: z.object({ status: z.literal('ok') }),
  }),
  inspectedRequest: defineRoute({
    method: 'GET',
    path: '/admin/inspector/:request_id',
    access: 'requests:inspect',
    summary: 'One request that was kept, with its question and its answer',
    params: z.object({ request_id: z.string() }),
    response: inspectedRequest,
  }),
};
