import { CortexError } from '../../../contract/errors.ts';
import type { InspectedRequest } from '../../../contract/inspector.ts';
import type { UsageRecord } from '../../../contract/usage.ts';
import type { HttpHandler, HttpRequest, HttpResponse } from '../http/message.ts';
import type { Balancer } from '../routing/balancer.ts';
import type { RoutingTable } from '../routing/table.ts';
import type { ModelWaker } from '../routing/waker.ts';
import { demandScope } from './access.ts';
import type { BodyCaps } from './body.ts';
import { authenticate, type Caller } from './credentials.ts';
import type { EngineClient } from './engine-client/engine-client.ts';
import { type ErrorShape, errorAnswer } from './error-shape.ts';
import type { LimitStore } from './limits.ts';
import { describeModels, isModelPath } from './model-list.ts';
import type { ModelQueues } from './queue.ts';
import { newRequestId } from './request-id.ts';
import { serve } from './serve.ts';
import { enginePathOf } from './surface.ts';
import { newTiming, type Timing, tellTimes } from './timing.ts';
import type { Traces } from './traces.ts';

export interface GatewayOptions {
  readonly table: RoutingTable;
  readonly balancer: Balancer;
  readonly queues: ModelQueues;
  readonly waker: ModelWaker;
  readonly limits: LimitStore;
  readonly client: EngineClient;
  /** Null where no collector is configured. */
  readonly traces: Traces | null;
  readonly settings: BodyCaps & {
    readonly REQUEST_MAX_BODY_BYTES: number;
    readonly TRUSTED_PROXIES: readonly string[];
  };
  /** Hears of each request to an engine, once, however it ended. */
  readonly onRecord: (record: UsageRecord, timing: Timing) => void;
  /** Calls back when all records that were given away are on disk. */
  readonly whenKept: (then: () => void) => void;
  /** Hears of each request that was refused before it came to a model: nobody's, or for no path. */
  readonly onRefused: (cause: string) => void;
  /** Hears of those requests that the table's inspection means. */
  readonly onInspected: (inspected: InspectedRequest) => void;
  readonly logger: { warn(details: object, message: string): void; error(details: object, message: string): void };
}

/** One request on its way. */
export interface Exchange {
  readonly request: HttpRequest;
  readonly response: HttpResponse;
  readonly requestId: string;
  readonly timing: Timing;
  readonly options: GatewayOptions;
}

/** The handler of /v1. */
export function createGateway(options: GatewayOptions): HttpHandler {
  return (request, response) => {
    const requestId = newRequestId();
    response.setHeader('x-request-id', requestId);
    response.setHeader('x-content-type-options', 'nosniff');
    const path = request.url.split('?', 1)[0] ?? '';
    const exchange = { request, response, requestId, timing: newTiming(), options };
    answer(exchange, path).catch((error: unknown) => {
      sendError(error, exchange, enginePathOf(path)?.errors ?? 'openai');
    });
  };
}

async function answer(exchange: Exchange, path: string): Promise<void> {
  const { request, response, options } = exchange;
  const { method } = request;
  const enginePath = enginePathOf(path);
  const allowed = enginePath !== undefined ? 'POST, OPTIONS' : isModelPath(path) ? 'GET, HEAD, OPTIONS' : null;
  // No other origin is let in, so a preflight learns the methods and nothing more.
  if (method === 'OPTIONS' && allowed !== null) {
    response.setHeader('allow', allowed);
    response.writeHead(204);
    response.end();
    return;
  }
  let caller: Caller;
  try {
    caller = callerFor(exchange, path, allowed);
    if (enginePath === undefined) demandScope(caller, 'models');
  } catch (error) {
    if (error instanceof CortexError) options.onRefused(error.code);
    throw error;
  }
  if (enginePath !== undefined) return await serve(exchange, path, enginePath, caller);
  tellTimes(response, exchange.timing, 0);
  sendJson(response, 200, describeModels(path, caller, options.table));
}

/** Who asks for something that is there, in a way that it is there for. */
function callerFor({ request, response, options }: Exchange, path: string, allowed: string | null): Caller {
  const { method, headers } = request;
  const caller = authenticate(request, options.table, options.settings.TRUSTED_PROXIES, Date.now());
  if (allowed === null) throw new CortexError('route_not_found', { method, path });
  if (!allowed.split(', ').includes(method)) {
    response.setHeader('allow', allowed);
    throw new CortexError('method_not_allowed', { method, path, allowed });
  }
  const coding = headers['content-encoding'];
  if (coding !== undefined && coding !== 'identity')
    throw new CortexError('invalid_request', { detail: `its body is compressed (content-encoding: ${coding}).` });
  return caller;
}

function sendJson(response: HttpResponse, status: number, body: unknown): void {
  const text = Buffer.from(JSON.stringify(body));
  response.setHeader('content-type', 'application/json; charset=utf-8');
  response.setHeader('content-length', String(text.length));
  response.setHeader('cache-control', 'no-store');
  response.writeHead(status);
  response.end(text);
}

function sendError(error: unknown, exchange: Exchange, shape: ErrorShape): void {
  const { request, response, requestId, options } = exchange;
  const known =
    error instanceof CortexError ? error : new CortexError('internal_error', { requestId }, { cause: error });
  if (known.status === 500) options.logger.error({ err: error, requestId }, 'A request to /v1 failed');
  if (known.status === 502 || known.status === 504)
    options.logger.warn({ reason: reasonOf(known), requestId }, 'An engine did not answer');
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  if (known.retryAfterSeconds !== null) response.setHeader('retry-after', String(known.retryAfterSeconds));
  if (known.status === 401) response.setHeader('www-authenticate', 'Bearer');
  if (!response.hasHeader('server-timing')) tellTimes(response, exchange.timing, 0);
  sendJson(response, known.status, errorAnswer(known, requestId, shape));
  request.discardRest();
}

function reasonOf(error: CortexError): string {
  const cause =
    error.cause instanceof Error ? `: ${'code' in error.cause ? error.cause.code : error.cause.message}` : '';
  return `${error.message}${cause}`;
}
