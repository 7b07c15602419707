import { rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { RequestHandler } from '../listeners.ts';

/** Where a worker writes the client's address; believed on the control socket alone. */
export const clientAddressHeader = 'x-cortex-client-address';

/** A socket that only this user's processes reach, on which workers pass on what is not theirs. */
export async function listenOnControlSocket(
  path: string,
  handler: RequestHandler,
): Promise<{ close(): Promise<void> }> {
  rmSync(path, { force: true });
  const server = createServer({ requestTimeout: 0 }, (request, response) => {
    const address = request.headers[clientAddressHeader];
    delete request.headers[clientAddressHeader];
    Object.defineProperty(request.socket, 'remoteAddress', { value: String(address ?? ''), configurable: true });
    handler(request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, readableAll: false, writableAll: false }, resolve);
  });
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          rmSync(path, { force: true });
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}
