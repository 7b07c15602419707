import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { CortexError, toErrorBody } from '../../../contract/errors.ts';

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** What a client still sends after it was refused may take so long; then the connection is cut. */
const lingerMs = 1_000;

export interface ReceiveLimits {
  /** For the whole request, its body with it: who trickles holds a connection and memory. */
  readonly requestMs: number;
  readonly checkEveryMs: number;
}

const receiveLimits: ReceiveLimits = { requestMs: 300_000, checkEveryMs: 30_000 };

/**
 * A server that answers also what is no request with the shape of every error, and then closes the connection: what follows
 * on it can't be told apart from the refused one's body.
 */
export function createHttpServer(handler: RequestHandler, limits = receiveLimits): Server {
  /** More than one where a client does not wait for the first answer. */
  const underWay = new WeakMap<Duplex, ServerResponse[]>();
  const refused = new WeakSet<Duplex>();
  // Without requireHostHeader: false a request without Host would get an empty 400 before the handler hears of it.
  const options = {
    keepAliveTimeout: 65_000,
    requestTimeout: limits.requestMs,
    headersTimeout: Math.min(30_000, limits.requestMs),
    connectionsCheckingInterval: limits.checkEveryMs,
    requireHostHeader: false,
    // Clients that vanish without a word are noticed some 20 s later: an engine must not go on working for them.
    keepAlive: true,
    keepAliveInitialDelay: 10_000,
  };
  const server = createServer(options, (request, response) => {
    const { socket } = request;
    // It came behind a refused one, in the same piece: nobody can say whose request it is.
    if (refused.has(socket)) return;
    const before = underWay.get(socket);
    if (before === undefined) underWay.set(socket, [response]);
    else underWay.set(socket, [...before.filter((other) => !other.writableFinished), response]);
    const problem = readTarget(request);
    if (problem === null) {
      handler(request, response);
      return;
    }
    refused.add(socket);
    const { status, headers, body } = answerTo(new CortexError('invalid_request', { detail: problem }));
    response.writeHead(status, headers).end(body);
  });
  server.on('clientError', (error: Error & { code?: string }, socket) => {
    const begun = underWay.get(socket)?.some((response) => response.headersSent && !response.writableFinished) ?? false;
    // Into an answer that has begun another one would be written as if it were a part of it.
    if (error.code === 'ECONNRESET' || begun) socket.destroy();
    // A parser that has lost its place fails again at each piece that still comes.
    else if (socket.writable) refuse(socket, meaningOf(error));
  });
  return server;
}

/** Where the request goes, in the form that routes know. Gives what is wrong with it, or null. */
function readTarget(request: IncomingMessage): string | null {
  const { rawHeaders } = request;
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2)
    if (rawHeaders[at]?.length === 4 && rawHeaders[at]?.toLowerCase() === 'host') hosts += 1;
  if (hosts > 1) return 'it names more than one Host.';
  if (hosts === 0 && request.httpVersion === '1.1') return 'it names no Host.';
  if (request.url?.startsWith('/')) return null;
  const [whole, host] = /^https?:\/\/([^/?#@]+)/i.exec(request.url ?? '') ?? [];
  if (whole === undefined || host === undefined) return null;
  // Meant for proxies, but every server has to read it; the target's host then counts, not the header's (RFC 9112, 3.2.2).
  const rest = request.url?.slice(whole.length) ?? '';
  request.url = rest.startsWith('/') ? rest : `/${rest}`;
  request.headers.host = host;
  return null;
}

function meaningOf({ code, message }: Error & { code?: string }): CortexError {
  if (code === 'HPE_HEADER_OVERFLOW') return new CortexError('headers_too_large', {});
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new CortexError('request_timeout', {});
  return new CortexError('invalid_request', { detail: `it is not HTTP/1.1 (${message}).` });
}

function answerTo(error: CortexError): { status: number; headers: Record<string, string>; body: string } {
  const requestId = `req_${randomUUID().replaceAll('-', '')}`;
  const body = JSON.stringify(toErrorBody(error, requestId));
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-request-id': requestId,
    connection: 'close',
  };
  return { status: error.status, headers, body };
}

function refuse(socket: Duplex, error: CortexError): void {
  const { status, headers, body } = answerTo(error);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`);
  // Closing at once would reset the connection, and the client, still sending, would see that instead of the answer.
  const cut = setTimeout(() => socket.destroy(), lingerMs).unref();
  socket.once('close', () => clearTimeout(cut));
}
