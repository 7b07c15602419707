import { CortexError } from '../../../contract/errors.ts';
import type { SubjectLimit } from '../../../contract/routing.ts';
import type { HttpResponse } from '../http/message.ts';
import type { InspectedBody } from './body.ts';
import type { Caller } from './credentials.ts';
import type { Exchange } from './exchange.ts';
import type { Allowance, LimitAnswer, LimitRequest, LimitStore } from './limits.ts';

/** What was taken of the limits for one request. */
export class LimitGrant {
  readonly #store: LimitStore;
  readonly #request: LimitRequest;

  constructor(store: LimitStore, request: LimitRequest) {
    this.#store = store;
    this.#request = request;
  }

  /** Once, when the request has ended; null gives all of it back. */
  settle(usedTokens: number | null): void {
    this.#store.settle(this.#request, usedTokens);
  }
}

/**
 * Takes what the request needs of every limit that it falls under, and tells the client what is left. Null where none does:
 * most requests go on at once.
 * @throws CortexError rate_limited, limits_unavailable
 */
export function takeLimits(
  exchange: Exchange,
  caller: Caller,
  servedName: string,
  body: InspectedBody,
): LimitGrant | Promise<LimitGrant> | null {
  const { table } = exchange.options;
  const limits = [
    caller.keyId === null ? undefined : table.limit('key', caller.keyId),
    table.limit('user', caller.userId),
    table.limit('organization', caller.organizationId),
    table.limit('model', servedName),
  ].filter((limit) => limit !== undefined);
  return limits.length === 0 ? null : grant(exchange, limits, body);
}

function grant(
  { response, requestId, options }: Exchange,
  limits: readonly SubjectLimit[],
  body: InspectedBody,
): LimitGrant | Promise<LimitGrant> {
  const request: LimitRequest = { requestId, limits, tokens: estimatedTokens(body, limits), nowMs: Date.now() };
  const taking = options.limits.take(request);
  if (taking instanceof Promise)
    return taking.then((answer) => {
      tellAllowances(response, answer);
      return new LimitGrant(options.limits, request);
    });
  tellAllowances(response, taking);
  return new LimitGrant(options.limits, request);
}

/** Another model is to answer: what was told of the first one's limits says nothing of its own. */
export function forgetAllowances(response: HttpResponse): void {
  for (const name of [...Object.values(requestHeaders), ...Object.values(tokenHeaders), uncheckedHeader])
    response.removeHeader(name);
}

/** @throws CortexError rate_limited */
function tellAllowances(response: HttpResponse, answer: LimitAnswer): void {
  if (!answer.allowed) {
    const none: Allowance = { limit: answer.limit, remaining: 0, resetMs: answer.retryAfterMs };
    if (answer.name === 'requests_per_minute') tell(response, requestHeaders, none);
    if (answer.name === 'tokens_per_minute') tell(response, tokenHeaders, none);
    throw refusal(answer);
  }
  if (!answer.checked) response.setHeader(uncheckedHeader, 'unchecked');
  tell(response, requestHeaders, answer.requests);
  tell(response, tokenHeaders, answer.tokens);
}

/** OpenAI's names, which its clients and agents read. */
const headersOf = (what: 'requests' | 'tokens') => ({
  limit: `x-ratelimit-limit-${what}`,
  remaining: `x-ratelimit-remaining-${what}`,
  reset: `x-ratelimit-reset-${what}`,
});
const uncheckedHeader = 'x-cortex-limits';
const requestHeaders = headersOf('requests');
const tokenHeaders = headersOf('tokens');

function tell(response: HttpResponse, names: ReturnType<typeof headersOf>, allowance: Allowance | null): void {
  if (allowance === null) return;
  response.setHeader(names.limit, String(allowance.limit));
  response.setHeader(names.remaining, String(allowance.remaining));
  response.setHeader(names.reset, `${Math.ceil(allowance.resetMs) / 1000}s`);
}

const bytesPerToken = 4;

/** The prompt by the size of its text; what the engine counts takes its place at the end. */
function estimatedTokens({ bytes, form }: InspectedBody, limits: readonly SubjectLimit[]): number {
  const matters = limits.some(
    (limit) => limit.tokens_per_minute !== null || limit.tokens_per_day !== null || limit.tokens_per_month !== null,
  );
  return matters && form === null ? Math.ceil(textBytes(bytes) / bytesPerToken) : 0;
}

/** All but what is written in base64: a model reads far fewer tokens of a picture than it has bytes. */
function textBytes(bytes: Buffer): number {
  let text = 0;
  let from = 0;
  while (from !== -1) {
    const encoded = bytes.indexOf(';base64,', from);
    if (encoded === -1) return text + bytes.length - from;
    text += encoded - from;
    from = bytes.indexOf('"', encoded);
  }
  return text;
}

function refusal({ subject, name, limit, retryAfterMs }: Extract<LimitAnswer, { allowed: false }>): CortexError {
  const seconds = Math.max(1, Math.ceil(retryAfterMs / 1000));
  return new CortexError('rate_limited', { subject, name, limit, seconds }, { retryAfterSeconds: seconds });
}
