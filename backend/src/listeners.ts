import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CortexError } from '../../contract/errors.ts';
import type { HttpHandler } from './http/message.ts';
import { nodeHandler } from './http/node-message.ts';
import { createHttpServer, type RequestHandler } from './http/node-server.ts';
import { type PlainRequests, takePlainRequests } from './http/plain-requests.ts';

const under = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`);
const apiPaths = ['/admin', '/auth', '/health', '/openapi.json'];

/** The API's port: /v1 goes to the gateway, all else to the control plane. */
export const apiHandler =
  (gateway: HttpHandler, admin: RequestHandler): RequestHandler =>
  (request, response) => {
    const path = pathOf(request);
    (under(path, '/v1') ? nodeHandler(gateway) : admin)(request, response);
  };

/** The UI's port: the API as well, so that the page has one origin; all else is the page and its files. */
export const uiHandler =
  (api: RequestHandler, ui: RequestHandler): RequestHandler =>
  (request, response) => {
    const path = pathOf(request);
    const isApi = under(path, '/v1') || apiPaths.some((folder) => under(path, folder));
    (isApi ? api : ui)(request, response);
  };

export const isGatewayPath = (url: string): boolean => url.startsWith('/v1/');
const pathOf = (request: IncomingMessage): string => (request.url ?? '/').split('?', 1)[0] ?? '/';

export interface Listener {
  readonly port: number;
  /** Takes no new connection, lets answers finish for `graceMs`, then cuts what is left. */
  close(graceMs: number): Promise<void>;
}

/**
 * @param gateway answers what is plain and under /v1, past Node's parser
 * @throws CortexError port_in_use, setting_invalid (an address that this machine does not have)
 */
export async function listen(
  handler: RequestHandler,
  host: string,
  port: number,
  variable: 'GATEWAY_PORT' | 'FRONTEND_PORT' | 'METRICS_PORT',
  gateway: HttpHandler | null = null,
): Promise<Listener> {
  const server = createHttpServer(handler);
  const plain = gateway === null ? null : takePlainRequests(server, isGatewayPath, gateway);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, host, port, variable)));
    server.listen(port, host, resolve);
  });
  return { port: (server.address() as AddressInfo).port, close: (graceMs) => closeServer(server, plain, graceMs) };
}

/** What an error of `listen` means to an operator. */
export function listenError(error: Error & { code?: string }, host: string, port: number, variable: string): Error {
  if (error.code === 'EADDRINUSE') return new CortexError('port_in_use', { port, variable }, { cause: error });
  if (error.code === 'EACCES' || error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND') {
    const [name, value, allowed] =
      error.code === 'EACCES'
        ? [variable, String(port), 'a port above 1023, or start Cortex with the right to use this one']
        : ['GATEWAY_HOST', host, 'an address of this machine'];
    const source = 'the environment or backend/.env';
    return new CortexError('setting_invalid', { variable: name, value, allowed, source }, { cause: error });
  }
  return error;
}

/** Takes no new connection, lets answers finish for `graceMs`, then cuts what is left. */
export function closeServer(server: Server, plain: PlainRequests | null, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => {
      server.closeAllConnections();
      plain?.closeAll();
    }, graceMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
    plain?.closeIdle();
  });
}
