import { hash } from 'node:crypto';
import { CortexError } from '../../../contract/errors.ts';
import { type Scope, scopes } from '../../../contract/keys.ts';
import type { HttpRequest } from '../http/message.ts';
import type { KeyEntry, RoutingTable } from '../routing/table.ts';
import { clientAddress, networksOf } from './networks.ts';

/** Who asks, whichever credential told it. */
export interface Caller {
  readonly keyId: string | null;
  readonly userId: string;
  readonly organizationId: string;
  readonly scopes: readonly Scope[];
  /** Served names that it may use; null is every model. */
  readonly models: readonly string[] | null;
}

const sha256 = (text: string) => hash('sha256', text);
/** By a request's headers, which are the same object where a connection's head comes again. */
const keyHashes = new WeakMap<object, string>();
const safeMethods = new Set(['GET', 'HEAD']);

/**
 * Finds the caller in the snapshot, without any I/O: by an API key, or by the session cookie of somebody who may chat
 * (the UI's playground).
 * @throws CortexError api_key_missing, invalid_api_key, api_key_expired, network_not_allowed, credentials_ambiguous,
 * session_invalid, forbidden, cross_origin
 */
export function authenticate(
  request: HttpRequest,
  table: RoutingTable,
  trustedProxies: readonly string[],
  nowMs: number,
): Caller {
  const token = tokenOf(request);
  if (token !== null) {
    const entry = byKey(keyHash(request.headers, token), table, nowMs);
    if (entry.networks !== null && !networksOf(entry.networks).has(clientAddress(request, trustedProxies)))
      throw new CortexError('network_not_allowed', {});
    return entry;
  }
  const cookie = /(?:^|;\s*)cortex_session=([^;]*)/.exec(request.headers.cookie ?? '')?.[1];
  if (cookie === undefined) throw new CortexError('api_key_missing', {});
  return bySession(cookie, request, table, nowMs);
}

/** The one place that reads a key: OpenAI's clients send Authorization, Anthropic's x-api-key. Null where neither is there. */
function tokenOf({ headers }: HttpRequest): string | null {
  const { authorization, 'x-api-key': apiKey } = headers;
  if (authorization === undefined) return apiKey === undefined ? null : String(apiKey);
  const bearer = /^Bearer\s+(\S+)$/i.exec(authorization)?.[1] ?? '';
  if (apiKey !== undefined && apiKey !== bearer) throw new CortexError('credentials_ambiguous', {});
  return bearer;
}

function keyHash(headers: object, token: string): string {
  const known = keyHashes.get(headers);
  if (known !== undefined) return known;
  const told = sha256(token);
  keyHashes.set(headers, told);
  return told;
}

function byKey(hashed: string, table: RoutingTable, nowMs: number): KeyEntry {
  const entry = table.key(hashed);
  if (entry === undefined) throw new CortexError('invalid_api_key', {});
  if (entry.expiresAtMs !== null && entry.expiresAtMs <= nowMs) {
    throw new CortexError('api_key_expired', { expiredAt: new Date(entry.expiresAtMs).toISOString() });
  }
  return entry;
}

function bySession(cookie: string, request: HttpRequest, table: RoutingTable, nowMs: number): Caller {
  const entry = table.session(sha256(cookie));
  if (entry === undefined || entry.expiresAtMs <= nowMs) throw new CortexError('session_invalid', {});
  if (!entry.rights.includes('chat')) throw new CortexError('forbidden', { right: 'chat' });
  if (!safeMethods.has(request.method) && !isSameOrigin(request)) throw new CortexError('cross_origin', {});
  return { keyId: null, userId: entry.userId, organizationId: entry.organizationId, scopes, models: null };
}

/** Browsers name the page's origin on every POST; a cookie alone must not let another site spend tokens. */
function isSameOrigin({ headers }: HttpRequest): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return false;
  return headers.origin === undefined || headers.origin.replace(/^https?:\/\//, '') === headers.host;
}
