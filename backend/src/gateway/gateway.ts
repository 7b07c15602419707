import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent } from 'undici';
import { CortexError, toErrorBody } from '../../../contract/errors.ts';
import type { Scope } from '../../../contract/keys.ts';
import type { Task } from '../../../contract/models.ts';
import type { UsageRecord } from '../../../contract/usage.ts';
import type { RoutedModel, RoutingTable } from '../routing/table.ts';
import { inspectBody, readBody } from './body.ts';
import { authenticate, type Caller } from './credentials.ts';
import { relay } from './relay.ts';

export interface GatewayOptions {
  readonly table: RoutingTable;
  readonly journal: { append(record: UsageRecord): void };
  readonly settings: { readonly REQUEST_MAX_BODY_BYTES: number };
  readonly logger: { error(details: object, message: string): void };
}

/** The handler of /v1. */
export interface Gateway {
  (request: IncomingMessage, response: ServerResponse): void;
  /** Cuts the connections to engines. */
  close(): Promise<void>;
}

interface EngineEndpoint {
  readonly scope: Scope;
  readonly task: Task;
  readonly canStream: boolean;
}

const engineEndpoints: Readonly<Record<string, EngineEndpoint>> = {
  '/v1/chat/completions': { scope: 'chat', task: 'generate', canStream: true },
  '/v1/completions': { scope: 'completions', task: 'generate', canStream: true },
  '/v1/embeddings': { scope: 'embeddings', task: 'embed', canStream: false },
};

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
    answer(request, response, requestId, options, dispatcher).catch((error: unknown) => {
      sendError(error, response, requestId, options);
    });
  };
  return Object.assign(handler, { close: () => dispatcher.destroy() });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  requestId: string,
  options: GatewayOptions,
  dispatcher: Agent,
): Promise<void> {
  const path = (request.url ?? '').split('?', 1)[0] ?? '';
  const method = request.method ?? '';
  const caller = authenticate(request, options.table, Date.now());
  const endpoint = Object.hasOwn(engineEndpoints, path) ? engineEndpoints[path] : undefined;
  if (endpoint !== undefined && method === 'POST') {
    await toEngine({ request, response, requestId, path, endpoint, caller, options, dispatcher });
    return;
  }
  if ((path === '/v1/models' || path.startsWith('/v1/models/')) && method === 'GET') {
    demandScope(caller, 'models');
    sendJson(
      response,
      200,
      path === '/v1/models' ? modelList(caller, options.table) : oneModel(path, caller, options.table),
    );
    return;
  }
  throw new CortexError('route_not_found', { method, path });
}

function demandScope(caller: Caller, scope: Scope): void {
  if (!caller.scopes.includes(scope)) throw new CortexError('insufficient_scope', { scope });
}

const mayUse = (caller: Caller, servedName: string) => caller.models === null || caller.models.includes(servedName);

const modelObject = (model: RoutedModel) => ({
  id: model.servedName,
  object: 'model',
  created: Math.floor(model.createdAtMs / 1000),
  owned_by: 'cortex',
});

function modelList(caller: Caller, table: RoutingTable) {
  const usable = [...table.models()].filter((model) => model.state === 'ready' && mayUse(caller, model.servedName));
  return { object: 'list', data: usable.map(modelObject) };
}

function oneModel(path: string, caller: Caller, table: RoutingTable) {
  const name = decodeName(path.slice('/v1/models/'.length));
  const model = table.model(name);
  if (model === undefined || !mayUse(caller, name))
    throw new CortexError('model_not_found', { model: name }, { param: 'model' });
  return modelObject(model);
}

function decodeName(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

interface EngineRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: string;
  readonly path: string;
  readonly endpoint: EngineEndpoint;
  readonly caller: Caller;
  readonly options: GatewayOptions;
  readonly dispatcher: Agent;
}

async function toEngine(from: EngineRequest): Promise<void> {
  const { request, response, requestId, path, endpoint, caller, options } = from;
  const startedAtMs = Date.now();
  const record: { -readonly [K in keyof UsageRecord]: UsageRecord[K] } = {
    request_id: requestId,
    at: new Date(startedAtMs).toISOString(),
    key_id: caller.keyId,
    user_id: caller.userId,
    organization_id: caller.organizationId,
    model_id: null,
    served_name: '',
    endpoint: path,
    streamed: false,
    status: 500,
    outcome: 'refused',
    prompt_tokens: 0,
    completion_tokens: 0,
    estimated: false,
    duration_ms: 0,
    first_byte_ms: null,
  };
  try {
    demandScope(caller, endpoint.scope);
    const body = inspectBody(await readBody(request, options.settings.REQUEST_MAX_BODY_BYTES), endpoint.canStream);
    // A name that nobody configured is not kept at full length: clients choose it.
    record.served_name = body.model.slice(0, 128);
    record.streamed = body.streamed;
    const model = admit(caller, body.model, endpoint, path, options.table);
    record.model_id = model.modelId;
    const acquired = options.table.acquire(model);
    if (acquired === undefined) throw new CortexError('model_not_ready', { model: body.model, state: model.state });
    try {
      const end = await relay({
        dispatcher: from.dispatcher,
        endpoint: acquired.endpoint,
        path,
        body: body.forEngine,
        model: body.model,
        requestId,
        hideUsage: body.streamed && !body.usageWanted,
        response,
      });
      record.status = end.status;
      record.outcome = end.outcome;
      record.prompt_tokens = end.counts.promptTokens;
      record.completion_tokens = end.counts.completionTokens;
      record.estimated = end.counts.estimated;
      record.first_byte_ms = end.firstByteAtMs === null ? null : end.firstByteAtMs - startedAtMs;
    } finally {
      acquired.release();
    }
  } catch (error) {
    record.status = error instanceof CortexError ? error.status : 500;
    record.outcome = error instanceof CortexError && error.code === 'engine_unreachable' ? 'engine_error' : 'refused';
    throw error;
  } finally {
    record.duration_ms = Date.now() - startedAtMs;
    options.journal.append(record);
  }
}

function admit(caller: Caller, name: string, endpoint: EngineEndpoint, path: string, table: RoutingTable): RoutedModel {
  const model = table.model(name);
  if (model === undefined) throw new CortexError('model_not_found', { model: name }, { param: 'model' });
  if (!mayUse(caller, name)) throw new CortexError('model_not_allowed', { model: name }, { param: 'model' });
  if (model.task !== endpoint.task)
    throw new CortexError('wrong_task', { model: name, task: model.task, path }, { param: 'model' });
  if (model.state !== 'ready')
    throw new CortexError('model_not_ready', { model: name, state: model.state }, { param: 'model' });
  return model;
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
}

const retryAfterSeconds = 5;

function sendError(error: unknown, response: ServerResponse, requestId: string, options: GatewayOptions): void {
  const known =
    error instanceof CortexError ? error : new CortexError('internal_error', { requestId }, { cause: error });
  if (known.status === 500) options.logger.error({ err: error, requestId }, 'A request to /v1 failed');
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  if (known.code === 'model_not_ready') response.setHeader('retry-after', String(retryAfterSeconds));
  // What is left of a refused body is not read, so the connection can't be used again.
  if (known.code === 'body_too_large') response.setHeader('connection', 'close');
  sendJson(response, known.status, toErrorBody(known, requestId));
}
