import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { CortexError } from '../../../contract/errors.ts';
import { type Scope, scopes } from '../../../contract/keys.ts';
import type { RoutingTable } from '../routing/table.ts';

/** Who asks, whichever credential told it. */
export interface Caller {
  readonly keyId: string | null;
  readonly userId: string;
  readonly organizationId: string;
  readonly scopes: readonly Scope[];
  /** Served names that it may use; null is every model. */
  readonly models: readonly string[] | null;
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const safeMethods = new Set(['GET', 'HEAD']);

/**
 * Finds the caller in the snapshot, without any I/O: by an API key, or by the session cookie of somebody who may chat
 * (the UI's playground).
 * @throws CortexError api_key_missing, invalid_api_key, api_key_expired, session_invalid, forbidden, cross_origin
 */
export function authenticate(request: IncomingMessage, table: RoutingTable, nowMs: number): Caller {
  const authorization = request.headers.authorization;
  if (authorization !== undefined) return byKey(authorization, table, nowMs);
  const cookie = /(?:^|;\s*)cortex_session=([^;]*)/.exec(request.headers.cookie ?? '')?.[1];
  if (cookie === undefined) throw new CortexError('api_key_missing', {});
  return bySession(cookie, request, table, nowMs);
}

function byKey(authorization: string, table: RoutingTable, nowMs: number): Caller {
  const token = /^Bearer\s+(\S+)$/i.exec(authorization)?.[1];
  const entry = token === undefined ? undefined : table.key(sha256(token));
  if (entry === undefined) throw new CortexError('invalid_api_key', {});
  if (entry.expiresAtMs !== null && entry.expiresAtMs <= nowMs) {
    throw new CortexError('api_key_expired', { expiredAt: new Date(entry.expiresAtMs).toISOString() });
  }
  return entry;
}

function bySession(cookie: string, request: IncomingMessage, table: RoutingTable, nowMs: number): Caller {
  const entry = table.session(sha256(cookie));
  if (entry === undefined || entry.expiresAtMs <= nowMs) throw new CortexError('session_invalid', {});
  if (!entry.rights.includes('chat')) throw new CortexError('forbidden', { right: 'chat' });
  if (!safeMethods.has(request.method ?? '') && !isSameOrigin(request)) throw new CortexError('cross_origin', {});
  return { keyId: null, userId: entry.userId, organizationId: entry.organizationId, scopes, models: null };
}

/** Browsers name the page's origin on every POST; a cookie alone must not let another site spend tokens. */
function isSameOrigin({ headers }: IncomingMessage): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return false;
  return headers.origin === undefined || headers.origin.replace(/^https?:\/\//, '') === headers.host;
}
