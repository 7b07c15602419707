import { CortexError } from '../../../contract/errors.ts';
import type { InspectedRequest } from '../../../contract/inspector.ts';
import type { UsageRecord } from '../../../contract/usage.ts';
import type { HttpRequest, HttpResponse } from '../http/message.ts';
import type { Balancer } from '../routing/balancer.ts';
import type { RoutingTable } from '../routing/table.ts';
import type { ModelWaker } from '../routing/waker.ts';
import type { BodyCaps } from './body.ts';
import type { EngineClient } from './engine-client/engine-client.ts';
import { type ErrorShape, errorAnswer } from './error-shape.ts';
import type { LimitStore } from './limits.ts';
import type { ModelQueues } from './queue.ts';
import { type Timing, tellTimes } from './timing.ts';
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

/** Answers with a document. */
export function sendJson(response: HttpResponse, status: number, body: unknown): void {
  const text = Buffer.from(JSON.stringify(body));
  response.setHeader('content-type', 'application/json; charset=utf-8');
  response.setHeader('content-length', String(text.length));
  response.setHeader('cache-control', 'no-store');
  response.writeHead(status);
  response.end(text);
}

/** Answers with an error; where an answer has begun already, it is cut. */
export function sendError(error: unknown, exchange: Exchange, shape: ErrorShape): void {
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
