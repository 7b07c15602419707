import { join } from 'node:path';
import type { Closing } from '../closing.ts';
import type { Config } from '../config.ts';
import type { RequestHandler } from '../http/node-server.ts';
import type { Listener } from '../listeners.ts';
import { listenOnControlSocket } from './control-socket.ts';
import { startWorkers, type WorkerPoolOptions } from './worker-pool.ts';

/** /v1 in processes of their own; what else comes to the API's port they pass on to this one. */
export async function listenInWorkers(
  api: RequestHandler,
  parts: Omit<WorkerPoolOptions, 'setup'> &
    Pick<WorkerPoolOptions['setup'], 'tracing'> & { config: Config; closing: Closing },
): Promise<Listener> {
  const { config, closing, tracing, ...pool } = parts;
  const { settings, dataDir } = config;
  const controlSocket = join(dataDir, 'control.sock');
  const control = await listenOnControlSocket(controlSocket, api);
  closing.add(() => control.close());
  return startWorkers({
    ...pool,
    setup: {
      host: settings.GATEWAY_HOST,
      port: settings.GATEWAY_PORT,
      controlSocket,
      workers: settings.GATEWAY_WORKERS,
      tracing,
      // No more than they need: the others hold secrets.
      settings: {
        REQUEST_MAX_BODY_BYTES: settings.REQUEST_MAX_BODY_BYTES,
        REQUEST_MAX_NESTING: settings.REQUEST_MAX_NESTING,
        REQUEST_MAX_CHOICES: settings.REQUEST_MAX_CHOICES,
        REQUEST_MAX_TOKENS: settings.REQUEST_MAX_TOKENS,
        REQUEST_MAX_IMAGES: settings.REQUEST_MAX_IMAGES,
        TRUSTED_PROXIES: settings.TRUSTED_PROXIES,
      },
    },
  });
}
