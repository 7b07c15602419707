import { rmSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { CortexError } from '../../../contract/errors.ts';
import { createHttpServer, type RequestHandler } from '../http/node-server.ts';

/** Where a worker writes the client's address; believed on the control socket alone. */
export const clientAddressHeader = 'x-cortex-client-address';

/** What Linux keeps of a socket's path (sun_path), without the NUL behind it. */
const longestPathBytes = 107;

/**
 * A socket that only this user's processes reach, on which workers pass on what is not theirs. It stands in the data folder.
 * @throws CortexError setting_invalid where the folder's path is too long for a socket
 */
export async function listenOnControlSocket(
  path: string,
  handler: RequestHandler,
): Promise<{ close(): Promise<void> }> {
  if (Buffer.byteLength(path) > longestPathBytes) {
    const longestFolder = longestPathBytes - Buffer.byteLength(basename(path)) - 1;
    throw new CortexError('setting_invalid', {
      variable: 'CORTEX_DATA_DIR',
      value: dirname(path),
      allowed: `a folder whose path has at most ${longestFolder} bytes where GATEWAY_WORKERS is above 1`,
      source: 'the environment or backend/.env',
    });
  }
  rmSync(path, { force: true });
  const server = createHttpServer((request, response) => {
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
