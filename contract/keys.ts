import { z } from 'zod';
import { defineRoute } from './route.ts';

/** What an API key may be used for: one scope an endpoint family of /v1. */
export const scopes = [
  'chat',
  'completions',
  'responses',
  'messages',
  'embeddings',
  'rerank',
  'audio',
  'tokenize',
  'models',
] as const;
export const scope = z.enum(scopes);
export type Scope = z.infer<typeof scope>;

/** An address or a CIDR block. */
export const network = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], 'an IP address or a CIDR block');

export const apiKey = z.object({
  id: z.string(),
  name: z.string(),
  /** The first characters of the key, enough to recognise it: ctx_ab12cd34 */
  prefix: z.string(),
  owner: z.string(),
  scopes: z.array(scope),
  /** Served names that it may use; null is every model. */
  models: z.array(z.string()).nullable(),
  /** Networks that it may be used from (10.1.0.0/16, 192.0.2.7); null is everywhere. */
  networks: z.array(z.string()).nullable(),
  created_at: z.iso.datetime(),
  expires_at: z.iso.datetime().nullable(),
  revoked_at: z.iso.datetime().nullable(),
  last_used_at: z.iso.datetime().nullable(),
  requests: z.number().int(),
});
export type ApiKey = z.infer<typeof apiKey>;

export const newApiKey = z.object({
  name: z.string().trim().min(1).max(64),
  scopes: z
    .array(scope)
    .min(1)
    .default([...scopes]),
  models: z.array(z.string()).nullable().default(null),
  networks: z.array(network).min(1).max(64).nullable().default(null),
  expires_at: z.iso.datetime().nullable().default(null),
});
export type NewApiKey = z.infer<typeof newApiKey>;

const idParam = z.object({ id: z.string() });

export const keyRoutes = {
  listKeys: defineRoute({
    method: 'GET',
    path: '/admin/keys',
    access: 'keys:read',
    summary: 'List API keys',
    response: z.object({ keys: z.array(apiKey) }),
  }),
  createKey: defineRoute({
    method: 'POST',
    path: '/admin/keys',
    access: 'keys:write',
    summary: 'Make an API key; the answer holds it once',
    body: newApiKey,
    response: z.object({ key: apiKey, token: z.string() }),
  }),
  revokeKey: defineRoute({
    method: 'DELETE',
    path: '/admin/keys/:id',
    access: 'keys:write',
    summary: 'Revoke an API key',
    params: idParam,
    response: z.object({ key: apiKey }),
  }),
};
