import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent } from 'undici';
import { CortexError, toErrorBody } from '../../../contract/errors.ts';
import type { UsageRecord } from '../../../contract/usage.ts';
import type { RoutingTable } from '../routing/table.ts';
import { admit, demandScope, type EnginePath, enginePathOf } from './admission.ts';
import { discardRest, inspectBody, readBody } from './body.ts';
import { authenticate, type Caller } from './credentials.ts';
import { describeModels, isModelPath } from './model-list.ts';
import { leftEarly, type RelayEnd, relay } from './relay.ts';

export interface GatewayOptions {
  readonly table: RoutingTable;
  readonly journal: { append(record: UsageRecord): void };
  readonly settings: { readonly REQUEST_MAX_BODY_BYTES: number };
  readonly logger: { warn(details: object, message: string): void; error(details: object, message: string): void };
}

/** The handler of /v1. */
export interface Gateway {
  (request: IncomingMessage, response: ServerResponse): void;
  /** Cuts the connections to engines. */
  close(): Promise<void>;
}

const connectTimeoutMs = 5_000;

export function createGateway(options: GatewayOptions): Gateway {
  // Engines may think for long before the first byte: the client's patience is the limit, and its leaving aborts.
  const dispatcher = new Agent({
    connect: { timeout: connectTimeoutMs },
    headersTimeout: 0,
    bodyTimeout: 0,
    pipelining: 1,
  });
  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    const requestId = `req_${randomUUID().replaceAll('-', '')}`;
    response.setHeader('x-request-id', requestId);
    response.setHeader('x-content-type-options', 'nosniff');
    answer({ request, response, requestId, options, dispatcher }).catch((error: unknown) => {
      sendError(error, request, response, requestId, options);
    });
  };
  return Object.assign(handler, { close: () => dispatcher.destroy() });
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: string;
  readonly options: GatewayOptions;
  readonly dispatcher: Agent;
}

async function answer(exchange: Exchange): Promise<void> {
  const { request, response, options } = exchange;
  const path = (request.url ?? '').split('?', 1)[0] ?? '';
  const method = request.method ?? '';
  const enginePath = enginePathOf(path);
  const allowed = enginePath !== undefined ? 'POST, OPTIONS' : isModelPath(path) ? 'GET, HEAD, OPTIONS' : null;
  // No other origin is let in, so a preflight learns the methods and nothing more.
  if (method === 'OPTIONS' && allowed !== null) {
    response.writeHead(204, { allow: allowed }).end();
    return;
  }
  const caller = authenticate(request, options.table, Date.now());
  if (allowed === null) throw new CortexError('route_not_found', { method, path });
  if (!allowed.split(', ').includes(method)) {
    response.setHeader('allow', allowed);
    throw new CortexError('method_not_allowed', { method, path, allowed });
  }
  if (enginePath !== undefined) return await toEngine(exchange, path, enginePath, caller);
  demandScope(caller, 'models');
  sendJson(response, 200, describeModels(path, caller, options.table));
}

type Draft = { -readonly [K in keyof UsageRecord]: UsageRecord[K] };

/** Carries a request to an engine and writes its one usage record, however it ends. */
async function toEngine(exchange: Exchange, path: string, enginePath: EnginePath, caller: Caller): Promise<void> {
  const startedAtMs = Date.now();
  const record: Draft = {
    request_id: exchange.requestId,
    at: new Date(startedAtMs).toISOString(),
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
  };
  try {
    const end = await serve(exchange, path, enginePath, caller, record);
    record.status = end.status;
    record.outcome = end.outcome;
    record.prompt_tokens = end.counts.promptTokens;
    record.completion_tokens = end.counts.completionTokens;
    record.estimated = end.counts.estimated;
    record.first_byte_ms = end.firstByteAtMs === null ? null : end.firstByteAtMs - startedAtMs;
  } catch (error) {
    record.status = error instanceof CortexError ? error.status : 500;
    record.outcome = record.status === 500 || record.status === 502 ? 'engine_error' : 'refused';
    throw error;
  } finally {
    record.duration_ms = Date.now() - startedAtMs;
    exchange.options.journal.append(record);
  }
}

async function serve(
  { request, response, requestId, options, dispatcher }: Exchange,
  path: string,
  enginePath: EnginePath,
  caller: Caller,
  record: Draft,
): Promise<RelayEnd> {
  demandScope(caller, enginePath.scope);
  const bytes = await readBody(request, options.settings.REQUEST_MAX_BODY_BYTES);
  if (bytes === null) return leftEarly;
  const body = inspectBody(bytes, enginePath.canStream);
  record.served_name = keptName(body.model);
  record.streamed = body.streamed;
  const model = admit(caller, body.model, path, enginePath, options.table);
  record.model_id = model.modelId;
  const acquired = options.table.acquire(model);
  if (acquired === undefined)
    throw new CortexError('model_not_ready', { model: body.model, state: 'without an engine' }, { param: 'model' });
  try {
    return await relay({
      dispatcher,
      endpoint: acquired.endpoint,
      path,
      body: body.forEngine,
      model: body.model,
      requestId,
      hideUsage: body.streamed && !body.usageWanted,
      response,
    });
  } finally {
    acquired.release();
  }
}

/** Clients choose this name: what no model can be called (and a database may refuse) is not kept. */
const keptName = (name: string) => name.slice(0, 128).replace(/[^\x20-\x7e]/g, '?');

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = Buffer.from(JSON.stringify(body));
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': text.length,
    'cache-control': 'no-store',
  });
  response.end(text);
}

const retryAfterSeconds = 5;

function sendError(
  error: unknown,
  request: IncomingMessage,
  response: ServerResponse,
  requestId: string,
  { logger }: GatewayOptions,
): void {
  const known =
    error instanceof CortexError ? error : new CortexError('internal_error', { requestId }, { cause: error });
  if (known.status === 500) logger.error({ err: error, requestId }, 'A request to /v1 failed');
  if (known.status === 502) logger.warn({ reason: reasonOf(known), requestId }, 'An engine did not answer');
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  if (known.code === 'model_not_ready') response.setHeader('retry-after', String(retryAfterSeconds));
  if (known.status === 401) response.setHeader('www-authenticate', 'Bearer');
  sendJson(response, known.status, toErrorBody(known, requestId));
  if (!request.complete) discardRest(request);
}

function reasonOf(error: CortexError): string {
  const cause = error.cause instanceof Error ? `: ${'code' in error.cause ? error.cause.code : error.cause.name}` : '';
  return `${error.message}${cause}`;
}
