import type { IncomingHttpHeaders } from 'node:http';
import { CortexError } from '../../../contract/errors.ts';
import { servingSettings } from '../../../contract/routing.ts';
import type { UsageRecord } from '../../../contract/usage.ts';
import type { HttpResponse } from '../http/message.ts';
import type { Lease, Verdict } from '../routing/balancer.ts';
import type { RoutedModel } from '../routing/table.ts';
import { demandScope, modelsFor } from './access.ts';
import { affinityOf } from './affinity.ts';
import { bodyForEngine, type InspectedBody, inspectBody } from './body.ts';
import type { Caller } from './credentials.ts';
import type { Exchange } from './gateway.ts';
import { type Observer, observe } from './inspect.ts';
import { type LimitGrant, takeLimits } from './limit-grant.ts';
import type { Place } from './queue.ts';
import { leftEarly, noCounts, type RelayEnd, type RelayResult, relay } from './relay.ts';
import type { EnginePath } from './surface.ts';
import { type Timing, tellTimes } from './timing.ts';
import type { RequestTrace } from './traces.ts';
import { awake } from './wake.ts';

type Draft = { -readonly [K in keyof UsageRecord]: UsageRecord[K] };

/** A request to an engine, with what is found out about it on the way. */
interface Work {
  readonly exchange: Exchange;
  readonly path: string;
  readonly enginePath: EnginePath;
  readonly caller: Caller;
  readonly record: Draft;
  readonly startedAtMs: number;
  readonly timing: Timing;
  readonly trace: RequestTrace | null;
  readonly observer: Observer | null;
  readonly grants: LimitGrant[];
  told: boolean;
  /** Makes a signal that aborts when the client leaves, for those alone who have to wait. */
  readonly gone: () => AbortSignal;
}

const defaultServing = servingSettings.parse({});

/** Carries a request to an engine and writes its one usage record, however it ends. */
export async function serve(exchange: Exchange, path: string, enginePath: EnginePath, caller: Caller): Promise<void> {
  const { response } = exchange;
  const { timing } = exchange;
  const startedAtMs = Date.now();
  const record = newRecord(exchange.requestId, startedAtMs, path, caller);
  const { traces } = exchange.options;
  const work: Work = {
    exchange,
    path,
    enginePath,
    caller,
    record,
    startedAtMs,
    timing,
    trace: traces?.begin(exchange.request.headers, path, exchange.requestId, startedAtMs) ?? null,
    observer: observe(exchange.options.table, caller, exchange.request, response),
    grants: [],
    told: false,
    gone: () => leaving(response),
  };
  try {
    tell(work, await admit(work));
  } catch (error) {
    const known = error instanceof CortexError ? error : null;
    const status = known?.status ?? 500;
    const outcome = [500, 502, 504].includes(status) ? 'engine_error' : 'refused';
    const cause = known?.code ?? 'internal_error';
    tell(work, { status, outcome, cause, counts: noCounts, firstByteAtMs: null });
    if (!response.headersSent) tellTimes(response, timing, record.queue_ms);
    throw error;
  }
}

function leaving(response: HttpResponse): AbortSignal {
  const gone = new AbortController();
  if (response.destroyed) gone.abort();
  response.onClose(() => {
    if (!response.finished) gone.abort();
  });
  return gone.signal;
}

/** Completes the record and gives it away, once. */
function tell(work: Work, end: RelayEnd): void {
  const { record, startedAtMs, timing, enginePath, exchange } = work;
  if (work.told) return;
  work.told = true;
  record.status = end.status;
  record.outcome = end.outcome;
  record.cause = end.cause;
  record.first_byte_ms = end.firstByteAtMs === null ? null : end.firstByteAtMs - startedAtMs;
  record.duration_ms = Date.now() - startedAtMs;
  if (enginePath.isCounted) {
    record.prompt_tokens = end.counts.promptTokens;
    record.completion_tokens = end.counts.completionTokens;
    record.cached_tokens = end.counts.cachedTokens;
    record.estimated = end.counts.estimated;
  }
  for (const grant of work.grants) grant.settle(record.prompt_tokens + record.completion_tokens);
  work.trace?.end(record);
  work.observer?.ended(record, timing, exchange.options.onInspected);
  exchange.options.onRecord(record, timing);
  exchange.response.after(exchange.options.whenKept);
}

const newRecord = (requestId: string, atMs: number, path: string, caller: Caller): Draft => ({
  request_id: requestId,
  at: isoTime(atMs),
  key_id: caller.keyId,
  user_id: caller.userId,
  organization_id: caller.organizationId,
  model_id: null,
  served_name: '',
  requested_name: '',
  replica: null,
  endpoint: path,
  streamed: false,
  status: 500,
  outcome: 'engine_error',
  prompt_tokens: 0,
  completion_tokens: 0,
  cached_tokens: 0,
  estimated: false,
  duration_ms: 0,
  queue_ms: 0,
  first_byte_ms: null,
  cause: null,
});

let isoAtMs = 0;
let iso = '';

/** Under load many requests come in one millisecond, and writing it takes longer than looking it up. */
function isoTime(atMs: number): string {
  if (atMs !== isoAtMs) {
    isoAtMs = atMs;
    iso = new Date(atMs).toISOString();
  }
  return iso;
}

/** Reads the request, finds who may answer it, takes its limits. */
async function admit(work: Work): Promise<RelayEnd> {
  const { exchange, enginePath, caller, record, timing } = work;
  const { request, response, options } = exchange;
  const beganAt = performance.now();
  demandScope(caller, enginePath.scope);
  timing.overheadMs += performance.now() - beganAt;
  const read = request.readBody(options.settings.REQUEST_MAX_BODY_BYTES);
  const bytes = read instanceof Promise ? await read : read;
  if (bytes === null) return leftEarly;
  work.observer?.asked(bytes);
  const { body, models } = findModels(work, bytes);
  const taking = takeLimits(exchange, caller, models[0].servedName, body);
  const grant = taking instanceof Promise ? await taking : taking;
  if (grant !== null) work.grants.push(grant);
  if (response.destroyed) return leftEarly;
  let last: CortexError | null = null;
  for (const [at, model] of models.entries()) {
    record.model_id = model.modelId;
    record.served_name = model.servedName;
    last = at === 0 ? null : await refusedByLimit(work, model, body);
    if (last !== null) continue;
    const result = await withPlace(work, body, model, at < models.length - 1);
    if (result.kind === 'ended') return result.end;
    last = result.error;
    if (result.kind === 'failed') break;
  }
  throw last ?? new CortexError('internal_error', { requestId: exchange.requestId });
}

/** Why a model may not answer in another's place, or null. The request counts there alone. */
async function refusedByLimit(work: Work, { servedName }: RoutedModel, body: InspectedBody) {
  try {
    for (const grant of work.grants.splice(0)) grant.settle(null);
    const taking = takeLimits(work.exchange, work.caller, servedName, body);
    if (taking !== null) work.grants.push(await taking);
    return null;
  } catch (error) {
    if (error instanceof CortexError) return error;
    throw error;
  }
}

function findModels({ exchange, path, enginePath, caller, record, timing }: Work, bytes: Buffer) {
  const { request, options } = exchange;
  const readAt = performance.now();
  try {
    const body = inspectBody(bytes, request.headers['content-type'] ?? '', enginePath, options.settings);
    record.requested_name = keptName(body.model);
    record.served_name = record.requested_name;
    record.streamed = body.streamed;
    return { body, models: modelsFor(caller, body.model, path, enginePath, options.table) };
  } finally {
    timing.overheadMs += performance.now() - readAt;
  }
}

/** Waits for a place at the model, then asks one endpoint after the other until one takes the request. */
async function withPlace(
  work: Work,
  body: InspectedBody,
  named: RoutedModel,
  othersLeft: boolean,
): Promise<RelayResult> {
  const { exchange, caller, record, gone } = work;
  const { response, options } = exchange;
  const serving = options.table.serving(named.servedName) ?? defaultServing;
  const rules = {
    maxConcurrent: serving.max_concurrent,
    queueLimit: serving.queue_limit,
    queueTimeoutMs: serving.queue_timeout_seconds * 1000,
  };
  let place: Place;
  let model = named;
  let cameAtMs = Date.now();
  try {
    if (named.endpoints.length === 0) {
      model = await awake(named, serving, gone, options);
      record.queue_ms += Date.now() - cameAtMs;
      cameAtMs = Date.now();
    }
    const entered = options.queues.enter(model.servedName, caller.keyId ?? caller.userId, rules, gone);
    place = entered instanceof Promise ? await entered : entered;
  } catch (error) {
    record.queue_ms += Date.now() - cameAtMs;
    if (response.destroyed) return { kind: 'ended', end: leftEarly };
    if (error instanceof CortexError && othersLeft) return { kind: 'not-begun', error };
    throw error;
  }
  record.queue_ms += place.waitedMs;
  if (place.position > 0 || model !== named) {
    response.setHeader('x-cortex-queue-position', String(place.position));
    response.setHeader('x-cortex-queue-ms', String(record.queue_ms));
  }
  try {
    return await askEndpoints(work, body, model, othersLeft);
  } finally {
    place.leave();
  }
}

async function askEndpoints(
  work: Work,
  body: InspectedBody,
  model: RoutedModel,
  othersLeft: boolean,
): Promise<RelayResult> {
  const { exchange, record } = work;
  const { balancer } = exchange.options;
  const tried = new Set<string>();
  const affinity = model.endpoints.length > 1 ? affinityOf(body) : null;
  let last: RelayResult | null = null;
  for (;;) {
    const lease = balancer.acquire(model.endpoints, affinity, tried, Date.now());
    if (lease === undefined) break;
    tried.add(lease.endpoint.id);
    record.replica = lease.endpoint.id;
    const isLast = tried.size === model.endpoints.length && !othersLeft;
    let result: RelayResult | null = null;
    try {
      result = await ask(work, body, model, lease, !isLast);
    } finally {
      lease.release(verdictOf(result));
    }
    if (result.kind !== 'not-begun') return result;
    work.trace?.callFailed(result.error.code);
    last = result;
  }
  return last ?? { kind: 'not-begun', error: new CortexError('engine_unreachable', { model: body.model }) };
}

function verdictOf(result: RelayResult | null): Verdict {
  if (result === null) return 'unknown';
  // Who lacks a path that a client thought of is there and answers.
  if (result.kind !== 'ended' && result.error.code === 'engine_lacks_endpoint') return 'good';
  if (result.kind !== 'ended') return result.error.code === 'engine_failed' ? 'unwell' : 'bad';
  const { outcome, cause } = result.end;
  if (outcome === 'client_gone') return 'unknown';
  if (outcome !== 'engine_error') return 'good';
  // Without a cause it is an error that the engine told inside its stream.
  return cause === null || cause === 'engine_failed' ? 'unwell' : 'bad';
}

function ask(
  work: Work,
  body: InspectedBody,
  model: RoutedModel,
  { endpoint, begun }: Lease,
  othersLeft: boolean,
): Promise<RelayResult> {
  const { exchange, path, enginePath, record, timing } = work;
  const { request, response, requestId, options } = exchange;
  const beganAt = performance.now();
  const traced = work.trace?.callEngine(model.servedName, endpoint.url) ?? traceHeaders(request.headers);
  const serving = options.table.serving(model.servedName) ?? defaultServing;
  const headers: Record<string, string> = { ...traced, 'content-type': body.contentType };
  if (endpoint.apiKey !== null) headers.authorization = `Bearer ${endpoint.apiKey}`;
  const version = request.headers['anthropic-version'];
  if (enginePath.errors === 'anthropic' && typeof version === 'string') headers['anthropic-version'] = version;
  const forEngine = bodyForEngine(body, endpoint.model, serving.parameters);
  const sentAt = performance.now();
  timing.overheadMs += sentAt - beganAt;
  return relay({
    client: options.client,
    request: {
      url: endpoint.url,
      ca: endpoint.ca,
      method: 'POST',
      path: enginePath.enginePath ?? path,
      headers,
      body: forEngine,
    },
    model: body.model,
    path,
    requestId,
    errorShape: enginePath.errors,
    hideUsage: body.asksUsage,
    timeouts: {
      firstByteMs: serving.first_byte_timeout_seconds * 1000,
      idleMs: serving.idle_timeout_seconds * 1000,
      totalMs: serving.total_timeout_seconds * 1000,
    },
    othersLeft,
    response,
    onEnded: (end) => tell(work, end),
    onAnswer: (status) => {
      if (status < 500) begun();
      timing.engineMs = performance.now() - sentAt;
      tellTimes(response, timing, record.queue_ms);
    },
  });
}

/** A trace that others keep goes on through the gateway (W3C Trace Context). */
function traceHeaders({ traceparent, tracestate }: IncomingHttpHeaders): Record<string, string> {
  if (typeof traceparent !== 'string' || !/^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(traceparent))
    return {};
  return { traceparent, ...(typeof tracestate === 'string' ? { tracestate } : {}) };
}

/** Clients choose this name: what no model can be called (and a database may refuse) is not kept. */
const keptName = (name: string) => name.slice(0, 128).replace(/[^\x20-\x7e]/g, '?');
