import { CortexError } from '../../../contract/errors.ts';
import type { HttpHandler } from '../http/message.ts';
import { demandScope } from './access.ts';
import { authenticate, type Caller } from './credentials.ts';
import { type Exchange, type GatewayOptions, sendError, sendJson } from './exchange.ts';
import { describeModels, isModelPath } from './model-list.ts';
import { newRequestId } from './request-id.ts';
import { serve } from './serve.ts';
import { enginePathOf } from './surface.ts';
import { newTiming, tellTimes } from './timing.ts';

const engineMethods = ['POST', 'OPTIONS'];
const modelMethods = ['GET', 'HEAD', 'OPTIONS'];

/** The handler of /v1. */
export function createGateway(options: GatewayOptions): HttpHandler {
  return (request, response) => {
    const requestId = newRequestId();
    response.setHeader('x-request-id', requestId);
    response.setHeader('x-content-type-options', 'nosniff');
    const query = request.url.indexOf('?');
    const path = query === -1 ? request.url : request.url.slice(0, query);
    const exchange = { request, response, requestId, timing: newTiming(), options };
    try {
      answer(exchange, path);
    } catch (error) {
      sendError(error, exchange, enginePathOf(path)?.errors ?? 'openai');
    }
  };
}

function answer(exchange: Exchange, path: string): void {
  const { request, response, options } = exchange;
  const { method } = request;
  const enginePath = enginePathOf(path);
  const allowed = enginePath !== undefined ? engineMethods : isModelPath(path) ? modelMethods : null;
  // No other origin is let in, so a preflight learns the methods and nothing more.
  if (method === 'OPTIONS' && allowed !== null) {
    response.setHeader('allow', allowed.join(', '));
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
  if (enginePath !== undefined) {
    serve(exchange, path, enginePath, caller);
    return;
  }
  tellTimes(response, exchange.timing, 0);
  sendJson(response, 200, describeModels(path, caller, options.table));
}

/** Who asks for something that is there, in a way that it is there for. */
function callerFor({ request, response, options }: Exchange, path: string, allowed: readonly string[] | null): Caller {
  const { method, headers } = request;
  const caller = authenticate(request, options.table, options.settings.TRUSTED_PROXIES, Date.now());
  if (allowed === null) throw new CortexError('route_not_found', { method, path });
  if (!allowed.includes(method)) {
    const told = allowed.join(', ');
    response.setHeader('allow', told);
    throw new CortexError('method_not_allowed', { method, path, allowed: told });
  }
  const coding = headers['content-encoding'];
  if (coding !== undefined && coding !== 'identity')
    throw new CortexError('invalid_request', { detail: `its body is compressed (content-encoding: ${coding}).` });
  return caller;
}
