import type { IncomingHttpHeaders } from 'node:http';
import { CortexError } from '../../../contract/errors.ts';
import { rightsOf } from '../../../contract/rights.ts';
import type { Access } from '../../../contract/route.ts';
import type { SessionRecord } from '../db/identity-records.ts';
import { sameSecret } from '../identity/secret-files.ts';
import { readCookie, sessionCookieName } from './session-cookie.ts';

/** The part of identity that access needs. */
export interface SessionFinder {
  findSession(token: string): Promise<SessionRecord | null>;
}

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Refuses what another site makes a browser send. Browsers name the page's origin on every request that changes
 * something; programs such as curl send neither header and carry no cookie that they did not choose to send.
 * @throws CortexError cross_origin
 */
export function checkOrigin(method: string, headers: IncomingHttpHeaders): void {
  if (safeMethods.has(method)) return;
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') throw new CortexError('cross_origin', {});
  if (headers.origin !== undefined && !isHost(headers.origin, headers.host)) throw new CortexError('cross_origin', {});
}

// The scheme is left out: behind a TLS proxy the page's is https and ours is http.
function isHost(origin: string, host: string | undefined): boolean {
  try {
    return new URL(origin).host === new URL(`${new URL(origin).protocol}//${host ?? ''}`).host;
  } catch {
    return false;
  }
}

/**
 * Lets a request through to a route or refuses it. What a route does not name is refused.
 * @throws CortexError unauthenticated, session_invalid, forbidden, local_token_invalid
 */
export async function checkAccess(
  access: Access,
  headers: IncomingHttpHeaders,
  sessions: SessionFinder,
  localToken: string,
): Promise<SessionRecord | null> {
  if (access === 'public') return null;
  if (access === 'local') {
    const token = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1];
    if (token === undefined || !sameSecret(token, localToken)) throw new CortexError('local_token_invalid', {});
    return null;
  }
  const cookie = readCookie(headers.cookie, sessionCookieName);
  if (cookie === null) throw new CortexError('unauthenticated', {});
  const session = await sessions.findSession(cookie);
  if (!session) throw new CortexError('session_invalid', {});
  if (access !== 'session' && !rightsOf[session.user.role].includes(access)) {
    throw new CortexError('forbidden', { right: access });
  }
  return session;
}
