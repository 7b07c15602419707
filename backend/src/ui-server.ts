import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';

// All of the UI comes from its own origin; styles may be set by scripts (charts, dialogs), scripts only from files.
const contentSecurityPolicy = [
  "default-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

const headers = {
  'content-security-policy': contentSecurityPolicy,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
};

const notBuilt =
  '<!doctype html><meta charset="utf-8"><title>Cortex</title><p>The UI is not built. Build it: <code>npm run build</code>';

/** Serves the built UI; every path that is not a file is the single page, whose router knows it. */
export async function createUiServer(frontendDir: string, logger: FastifyBaseLogger): Promise<FastifyInstance> {
  const app = Fastify({ loggerInstance: logger, logController: new LogController({ disableRequestLogging: true }) });
  app.addHook('onRequest', async (_request, reply) => void reply.headers(headers));
  if (!existsSync(join(frontendDir, 'index.html'))) {
    app.setNotFoundHandler(async (_request, reply) =>
      reply.status(503).type('text/html; charset=utf-8').send(notBuilt),
    );
  } else {
    await app.register(fastifyStatic, {
      root: frontendDir,
      // The build writes a gzip beside each script and style.
      preCompressed: true,
      // Vite puts a hash into the names of assets; the page itself must be asked for anew.
      setHeaders: (response, path) => {
        const isAsset = path.includes('/assets/');
        void response.header('cache-control', isAsset ? 'public, max-age=31536000, immutable' : 'no-cache');
      },
    });
    app.setNotFoundHandler(async (request, reply) => {
      const isPage = request.method === 'GET' && !request.url.startsWith('/assets/');
      if (isPage) return reply.header('cache-control', 'no-cache').sendFile('index.html');
      return reply.status(404).type('text/plain; charset=utf-8').send('Not found');
    });
  }
  await app.ready();
  return app;
}
