import type { z } from 'zod';
import type { Right } from './rights.ts';

/**
 * Who may call a route: nobody in particular (`public`), anyone signed in (`session`), the command line of this machine
 * (`local`, by the token file in the data folder), or those whose role has the right.
 */
export type Access = 'public' | 'session' | 'local' | Right;

/** One route of the control plane. From it come the server's validation, the client's types and the OpenAPI document. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Fastify's spelling: /admin/models/:id */
  readonly path: string;
  readonly access: Access;
  readonly summary: string;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  /** The answer's body; `stream` answers with server-sent events of this shape, `download` with a file. */
  readonly response: z.ZodType;
  readonly kind?: 'json' | 'stream' | 'download';
  /** Of a download. */
  readonly contentType?: string;
}

/** Declares a route and keeps its exact types. */
export const defineRoute = <const R extends Route>(route: R): R => route;
