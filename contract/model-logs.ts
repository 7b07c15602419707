import { z } from 'zod';
import { defineRoute } from './route.ts';

const params = z.object({ id: z.string() });
const replica = z.coerce.number().int().min(0).max(15).default(0);

/** Lines that an engine wrote. `begins`: they are those of another start, and what was shown before is over. */
export const logPiece = z.object({ begins: z.boolean(), lines: z.array(z.string()) });
export type LogPiece = z.infer<typeof logPiece>;

export const modelLogRoutes = {
  followModelLogs: defineRoute({
    method: 'GET',
    path: '/admin/models/:id/logs/stream',
    access: 'models:read',
    summary: "Server-sent events: the engine's log as it is written, over its restarts",
    params,
    query: z.object({ replica, tail: z.coerce.number().int().min(0).max(10_000).default(2000) }),
    kind: 'stream',
    response: logPiece,
  }),
  downloadModelLogs: defineRoute({
    method: 'GET',
    path: '/admin/models/:id/logs/engine.log',
    access: 'models:read',
    summary: "The engine's whole log as a file",
    params,
    query: z.object({ replica }),
    kind: 'download',
    contentType: 'text/plain; charset=utf-8',
    response: z.string(),
  }),
};
