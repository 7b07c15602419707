import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import swagger from '@fastify/swagger';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import { jsonSchemaTransform, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { CortexError, toErrorBody } from '../../../contract/errors.ts';
import { defineRoute, type Route } from '../../../contract/route.ts';
import { routes } from '../../../contract/routes.ts';
import type { SessionRecord } from '../db/identity-records.ts';
import { checkAccess, checkOrigin, type SessionFinder } from './access.ts';
import { answerWriter } from './answers.ts';
import { toCortexError } from './errors.ts';
import { sendEvents } from './event-stream.ts';
import type { Handlers, StreamContext } from './handler.ts';
import { readCookie, sessionCookieName } from './session-cookie.ts';

const bodyLimitBytes = 1024 * 1024;

/** On every answer of the control plane. */
export const securityHeaders: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};

export interface AdminServerOptions {
  readonly handlers: Handlers;
  readonly sessions: SessionFinder;
  readonly localToken: string;
  readonly logger: FastifyBaseLogger;
  readonly version: string;
  /** Shown at GET / so that a person who opens the API's port finds the UI. */
  readonly uiPort: number;
  /** Ends open event streams when aborted. */
  readonly stopping: AbortSignal;
  readonly heartbeatMs?: number;
}

/** A request once it is checked: what the mapped handlers are called with, seen from the loop that binds them. */
type LooseHandler = (
  request: { params: unknown; query: unknown; body: unknown },
  context: Partial<StreamContext> & { session: SessionRecord | null },
) => Promise<unknown> | AsyncIterable<unknown>;

/** The control plane's HTTP surface: every route of the contract bound to its handler. Denies what no rule allows. */
export async function createAdminServer(options: AdminServerOptions): Promise<FastifyInstance> {
  const app = Fastify({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: bodyLimitBytes,
    exposeHeadRoutes: false,
    genReqId: () => `req_${randomUUID().replaceAll('-', '')}`,
    routerOptions: { ignoreTrailingSlash: true },
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  acceptJsonOnly(app);
  await app.register(swagger, {
    openapi: { info: { title: 'Cortex', version: options.version } },
    transform: jsonSchemaTransform,
  });

  const bound = new Map<string, Route>();
  const sessionsOf = new WeakMap<FastifyRequest, SessionRecord>();
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ ...securityHeaders, 'x-request-id': request.id, 'cache-control': 'no-store' });
    if (request.is404) return;
    const route = bound.get(`${request.method} ${request.routeOptions.url}`);
    if (!route) throw new CortexError('forbidden', { right: 'none' });
    checkOrigin(request.method, request.headers);
    const session = await checkAccess(route.access, request.headers, options.sessions, options.localToken);
    if (session) sessionsOf.set(request, session);
  });

  app.setErrorHandler((error, request, reply) => sendError(error, request, reply));
  app.setNotFoundHandler((request, reply) =>
    sendError(
      new CortexError('route_not_found', { method: request.method, path: request.url.split('?', 1)[0] ?? '' }),
      request,
      reply,
    ),
  );

  for (const [name, route] of Object.entries(routes) as [keyof Handlers, Route][]) {
    // Fastify checks params, query and body with the route's own schemas before this is called, so the types hold.
    const handle = options.handlers[name] as unknown as LooseHandler;
    const write = answerWriter(route.response);
    bound.set(`${route.method} ${route.path}`, route);
    app.route({
      method: route.method,
      url: route.path,
      schema: {
        summary: route.summary,
        description: `Access: ${route.access}`,
        ...(route.params ? { params: route.params } : {}),
        ...(route.query ? { querystring: route.query } : {}),
        ...(route.body ? { body: route.body } : {}),
        ...(route.kind === 'stream' || route.kind === 'download' ? {} : { response: { 200: route.response } }),
      },
      // A body whose fields all have defaults may be left out.
      ...(route.body
        ? {
            preValidation: async (request: FastifyRequest) => {
              request.body ??= {};
            },
          }
        : {}),
      handler: async (request, reply) => {
        const input = { params: request.params, query: request.query, body: request.body };
        const context = {
          address: request.ip,
          requestId: request.id,
          session: sessionsOf.get(request) ?? null,
          setCookie: (header: string) => void reply.header('set-cookie', header),
        };
        if (route.kind === 'stream') return stream(input, context, request, reply, handle);
        if (route.kind === 'download') return download(route, handle(input, context) as AsyncIterable<string>, reply);
        const answer = write(await handle(input, context));
        return reply.type('application/json; charset=utf-8').send(answer);
      },
    });
  }

  bound.set('GET /openapi.json', openApiRoute);
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger());
  bound.set('GET /', rootRoute);
  app.get('/', { schema: { hide: true } }, async (request) => ({
    name: 'Cortex',
    ui: `${request.protocol}://${request.hostname}:${options.uiPort}/`,
    api: '/v1',
    health: '/health',
  }));

  async function stream(
    input: Parameters<LooseHandler>[0],
    context: Parameters<LooseHandler>[1],
    request: FastifyRequest,
    reply: FastifyReply,
    handle: LooseHandler,
  ): Promise<FastifyReply> {
    const abort = new AbortController();
    const stop = () => abort.abort();
    options.stopping.addEventListener('abort', stop);
    reply.raw.on('close', () => options.stopping.removeEventListener('abort', stop));
    const source = handle(input, { ...context, signal: abort.signal }) as AsyncIterable<unknown>;
    reply.hijack();
    const cookie = readCookie(request.headers.cookie, sessionCookieName) ?? '';
    await sendEvents(
      reply.raw,
      source,
      abort,
      {
        headers: { ...securityHeaders, 'x-request-id': request.id },
        stillAllowed: async () => (await options.sessions.findSession(cookie)) !== null,
        ...(options.heartbeatMs === undefined ? {} : { heartbeatMs: options.heartbeatMs }),
      },
      (error) => request.log.error({ err: error, requestId: request.id }, 'An event stream broke off'),
    );
    return reply;
  }

  await app.ready();
  return app;
}

const openApiRoute = defineRoute({
  method: 'GET',
  path: '/openapi.json',
  access: 'public',
  summary: 'This description of the routes',
  response: z.unknown(),
});
const rootRoute = defineRoute({
  method: 'GET',
  path: '/',
  access: 'public',
  summary: 'Where the UI is',
  response: z.object({ name: z.string(), ui: z.string(), api: z.string(), health: z.string() }),
});

/** Waits for the first piece, so that what fails at once is answered like any other error. */
async function download(route: Route, pieces: AsyncIterable<string>, reply: FastifyReply): Promise<FastifyReply> {
  const source = pieces[Symbol.asyncIterator]();
  let next = await source.next();
  async function* all() {
    try {
      for (; !next.done; next = await source.next()) yield next.value;
    } finally {
      await source.return?.();
    }
  }
  const fileName = route.path.slice(1).replace('admin/', 'cortex-').replaceAll('/', '-');
  return reply
    .type(route.contentType ?? 'application/octet-stream')
    .header('content-disposition', `attachment; filename="${fileName}"`)
    .send(Readable.from(all(), { objectMode: false }));
}

function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = toCortexError(error, bodyLimitBytes);
  if (!known || known.status >= 500) {
    request.log.error(
      { err: error, requestId: request.id, method: request.method, path: request.url },
      'Request failed',
    );
  }
  const answer = known ?? new CortexError('internal_error', { requestId: request.id });
  const retry = /Wait (\d+) s/.exec(answer.code === 'login_throttled' ? answer.message : '')?.[1];
  if (retry) reply.header('retry-after', retry);
  return reply
    .status(answer.status)
    .type('application/json; charset=utf-8')
    .serializer((body: unknown) => JSON.stringify(body))
    .send(toErrorBody(answer, request.id));
}

// Another type would let a plain form of another site reach a handler.
function acceptJsonOnly(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else void parse(request, body as string, done);
  });
}
