import { CortexError } from '../../../contract/errors.ts';
import type { SubjectLimit } from '../../../contract/routing.ts';
import type { InspectedBody } from './body.ts';
import type { Caller } from './credentials.ts';
import type { Exchange } from './gateway.ts';
import type { Allowance, LimitAnswer, LimitRequest } from './limits.ts';

/** What was taken of the limits for one request. */
export interface LimitGrant {
  /** Once, when the request has ended. */
  settle(usedTokens: number): void;
}

/**
 * Takes what the request needs of every limit that it falls under, and tells the client what is left. Null where none does:
 * most requests go on at once.
 * @throws CortexError rate_limited, limits_unavailable
 */
export function takeLimits(
  { response, requestId, options }: Exchange,
  caller: Caller,
  servedName: string,
  body: InspectedBody,
): LimitGrant | Promise<LimitGrant> | null {
  const { table } = options;
  const limits: SubjectLimit[] = [];
  const add = (limit: SubjectLimit | undefined) => void (limit !== undefined && limits.push(limit));
  if (caller.keyId !== null) add(table.limit('key', caller.keyId));
  add(table.limit('user', caller.userId));
  add(table.limit('organization', caller.organizationId));
  add(table.limit('model', servedName));
  if (limits.length === 0) return null;
  const asked: LimitRequest = { requestId, limits, tokens: estimatedTokens(body, limits), nowMs: Date.now() };
  const taking = options.limits.take(asked);
  return taking instanceof Promise ? taking.then(grant) : grant(taking);

  function grant(answer: LimitAnswer): LimitGrant {
    if (!answer.allowed) throw refusal(answer);
    if (!answer.checked) response.setHeader('x-cortex-limits', 'unchecked');
    tell('requests', answer.requests);
    tell('tokens', answer.tokens);
    return { settle: (usedTokens) => options.limits.settle(asked, usedTokens) };
  }

  /** OpenAI's names, which its clients and agents read. */
  function tell(what: string, allowance: Allowance | null): void {
    if (allowance === null) return;
    response.setHeader(`x-ratelimit-limit-${what}`, String(allowance.limit));
    response.setHeader(`x-ratelimit-remaining-${what}`, String(allowance.remaining));
    response.setHeader(`x-ratelimit-reset-${what}`, `${allowance.resetMs / 1000}s`);
  }
}

const bytesPerToken = 4;

/** The prompt by its size; what the engine counts takes its place at the end. */
function estimatedTokens({ bytes }: InspectedBody, limits: readonly SubjectLimit[]): number {
  const matters = limits.some(
    (limit) => limit.tokens_per_minute !== null || limit.tokens_per_day !== null || limit.tokens_per_month !== null,
  );
  return matters ? Math.ceil(bytes.length / bytesPerToken) : 0;
}

function refusal({ subject, name, limit, retryAfterMs }: Extract<LimitAnswer, { allowed: false }>): CortexError {
  const seconds = Math.max(1, Math.ceil(retryAfterMs / 1000));
  return new CortexError('rate_limited', { subject, name, limit, seconds }, { retryAfterSeconds: seconds });
}
