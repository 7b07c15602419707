import type { RouteName, RouteRequest, RouteResponse, Routes } from '../../../contract/routes.ts';
import type { SessionRecord } from '../db/identity-records.ts';

/** What every handler gets beside the checked request. */
export interface HandlerContext {
  readonly address: string;
  readonly requestId: string;
  setCookie(header: string): void;
}

export interface StreamContext extends HandlerContext {
  /** Aborted when the client has gone, its session has ended or the server stops. */
  readonly signal: AbortSignal;
}

type ContextOf<N extends RouteName> = (Routes[N] extends { kind: 'stream' } ? StreamContext : HandlerContext) &
  (Routes[N]['access'] extends 'public' | 'local' ? { readonly session: null } : { readonly session: SessionRecord });

/** A download's pieces are parts of one file, and it is made only as fast as the client takes it. */
type AnswerOf<N extends RouteName> = Routes[N] extends { kind: 'stream' | 'download' }
  ? AsyncIterable<RouteResponse<Routes[N]>>
  : Promise<RouteResponse<Routes[N]>>;

/** One handler for each route of the contract: a missing one does not compile. */
export type Handlers = {
  readonly [N in RouteName]: (request: RouteRequest<Routes[N]>, context: ContextOf<N>) => AnswerOf<N>;
};
