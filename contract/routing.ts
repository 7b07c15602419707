import { z } from 'zod';
import { modelState, servedName, task } from './models.ts';
import { defineRoute } from './route.ts';

const parameterName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/);

/** What is done with one parameter of a request, under the name that OpenAI gives it. */
export const parameterRule = z
  .object({
    /** Set where the client did not. */
    default: z.json().optional(),
    /** Set in any case. */
    force: z.json().optional(),
    /** Larger numbers are lowered to it. */
    max: z.number().optional(),
    /** A request that has it is refused. */
    forbid: z.literal(true).optional(),
  })
  .strict();
export type ParameterRule = z.infer<typeof parameterRule>;

/** How requests for a model are treated. Durations are in seconds; 0 is no limit. */
export const servingSettings = z.object({
  /** Requests that the engines of the model answer at the same time, all together; null leaves it to the engine. */
  max_concurrent: z.number().int().min(1).max(100_000).nullable().default(null),
  /** Requests that may wait for a place; more are refused with 429. */
  queue_limit: z.number().int().min(0).max(100_000).default(128),
  queue_timeout_seconds: z.number().min(0).max(86_400).default(120),
  first_byte_timeout_seconds: z.number().min(0).max(86_400).default(0),
  idle_timeout_seconds: z.number().min(0).max(86_400).default(300),
  total_timeout_seconds: z.number().min(0).max(86_400).default(0),
  /** Served names that answer in its place, in this order, while it can't. */
  fallbacks: z.array(servedName).max(8).default([]),
  parameters: z.record(parameterName, parameterRule).default({}),
});
export type ServingSettings = z.infer<typeof servingSettings>;

/** Another name for served names, each with its share of the requests. */
export const alias = z.object({
  name: servedName,
  targets: z
    .array(z.object({ served_name: servedName, weight: z.number().int().min(0).max(1000).default(1) }))
    .min(1)
    .max(32),
});
export type Alias = z.infer<typeof alias>;

// Without `abort` the second check would meet texts that are no URL at all.
const origin = z
  .url({ protocol: /^https?$/, error: 'a URL such as http://10.0.0.5:8000', abort: true })
  .refine((text) => {
    const { username, password, search, hash } = new URL(text);
    return username === '' && password === '' && search === '' && hash === '';
  }, 'a URL without a user, a query or a fragment');

/** An OpenAI-compatible server that Cortex did not start. It adds to the replicas of a served name, or makes the name. */
export const newEndpoint = z.object({
  name: z.string().trim().min(1).max(64),
  served_name: servedName,
  task: task.default('generate'),
  /** What stands before /v1. */
  url: origin,
  /** The name that the server itself knows the model by; null is the served name. */
  upstream_model: z.string().min(1).max(256).nullable().default(null),
  /** PEM text of the authority that signed its certificate; null is the machine's own list. */
  ca: z.string().max(65_536).nullable().default(null),
  /** Sent as a bearer token; kept encrypted and never shown again. */
  api_key: z
    .string()
    .min(1)
    .max(1024)
    .regex(/^[\x21-\x7e]+$/, 'printable characters without spaces')
    .nullable()
    .default(null),
});
export type NewEndpoint = z.infer<typeof newEndpoint>;

export const endpoint = newEndpoint.omit({ api_key: true }).extend({
  id: z.string(),
  has_api_key: z.boolean(),
  created_at: z.iso.datetime(),
});
export type EndpointRecord = z.infer<typeof endpoint>;

/** A change of an endpoint. A key that is left out is kept as long as the address stays: it was meant for that one. */
export const changedEndpoint = newEndpoint.extend({ api_key: newEndpoint.shape.api_key.unwrap().optional() });
export type ChangedEndpoint = z.infer<typeof changedEndpoint>;

/** A served name as the gateway sees it now. */
export const servedModel = z.object({
  served_name: z.string(),
  task,
  state: modelState,
  replicas: z.array(
    z.object({
      /** A container's name, or an external endpoint's. */
      id: z.string(),
      external: z.boolean(),
      /** `failing`: gets no request until its next trial; `trial`: the next request or check decides. */
      health: z.enum(['ok', 'trial', 'failing']),
    }),
  ),
});
export type ServedModel = z.infer<typeof servedModel>;

/** What one subject may use; null is no limit. Days and months are those of UTC. */
export const limit = z.object({
  requests_per_minute: z.number().int().min(1).nullable().default(null),
  tokens_per_minute: z.number().int().min(1).nullable().default(null),
  concurrent_requests: z.number().int().min(1).nullable().default(null),
  tokens_per_day: z.number().int().min(1).nullable().default(null),
  tokens_per_month: z.number().int().min(1).nullable().default(null),
});

export const limitSubject = z.enum(['key', 'user', 'organization', 'model']);
export type LimitSubject = z.infer<typeof limitSubject>;

export const subjectLimit = limit.extend({ subject: limitSubject, id: z.string().min(1).max(128) });
export type SubjectLimit = z.infer<typeof subjectLimit>;

/** A key, user, organisation or model by its name, with what it may use. */
export const limitedSubject = z.object({
  subject: limitSubject,
  id: z.string(),
  name: z.string(),
  /** What tells it from another of the same name: the beginning of a key. */
  detail: z.string().nullable(),
  /** False where only its limits are left: a key that was revoked, a name that nothing serves any more. */
  exists: z.boolean(),
  limits: limit,
});
export type LimitedSubject = z.infer<typeof limitedSubject>;

const ok = z.object({ status: z.literal('ok') });
const nameParam = z.object({ name: servedName });

export const routingRoutes = {
  getRouting: defineRoute({
    method: 'GET',
    path: '/admin/routing',
    access: 'models:read',
    summary: 'Served names with their replicas, aliases, external endpoints, limits and how each name is treated',
    response: z.object({
      models: z.array(servedModel),
      aliases: z.array(alias),
      endpoints: z.array(endpoint),
      limits: z.array(subjectLimit),
      serving: z.record(z.string(), servingSettings),
    }),
  }),
  setAlias: defineRoute({
    method: 'POST',
    path: '/admin/routing/aliases',
    access: 'models:write',
    summary: 'Make an alias, or change it',
    body: alias,
    response: ok,
  }),
  deleteAlias: defineRoute({
    method: 'DELETE',
    path: '/admin/routing/aliases/:name',
    access: 'models:write',
    summary: 'Delete an alias',
    params: nameParam,
    response: ok,
  }),
  createEndpoint: defineRoute({
    method: 'POST',
    path: '/admin/routing/endpoints',
    access: 'models:write',
    summary: 'Add a server that Cortex did not start as a replica of a served name',
    body: newEndpoint,
    response: z.object({ endpoint }),
  }),
  updateEndpoint: defineRoute({
    method: 'PATCH',
    path: '/admin/routing/endpoints/:id',
    access: 'models:write',
    summary: 'Change an external endpoint; a key that is left out is kept',
    params: z.object({ id: z.string() }),
    body: changedEndpoint,
    response: z.object({ endpoint }),
  }),
  deleteEndpoint: defineRoute({
    method: 'DELETE',
    path: '/admin/routing/endpoints/:id',
    access: 'models:write',
    summary: 'Remove an external endpoint',
    params: z.object({ id: z.string() }),
    response: ok,
  }),
  setServing: defineRoute({
    method: 'POST',
    path: '/admin/routing/serving',
    access: 'models:write',
    summary: 'How requests for a served name are treated: queue, timeouts, fallbacks, parameters',
    body: z.object({ served_name: servedName, settings: servingSettings }),
    response: ok,
  }),
  listLimits: defineRoute({
    method: 'GET',
    path: '/admin/limits',
    access: 'keys:read',
    summary: 'All that can have limits, by name, with what each may use',
    response: z.object({ subjects: z.array(limitedSubject) }),
  }),
  setLimit: defineRoute({
    method: 'POST',
    path: '/admin/limits',
    access: 'keys:write',
    summary: 'Set what a key, user, organisation or model may use; all null removes the limit',
    body: subjectLimit,
    response: ok,
  }),
};
