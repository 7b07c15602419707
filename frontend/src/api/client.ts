import { errorBody } from '../../../contract/errors.ts';
import type { Route } from '../../../contract/route.ts';
import { type RouteInput, type RouteName, type RouteResponse, type Routes, routes } from '../../../contract/routes.ts';

/** What the server refused, in its own words. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly code: string;
  readonly hint: string;
  readonly param: string | null;
  constructor(status: number, error: { message: string; code: string; hint: string; param: string | null }) {
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.hint = error.hint;
    this.param = error.param;
  }
}

type Defined<T> = { [K in keyof T as T[K] extends undefined ? never : K]: T[K] };
type Input<N extends RouteName> = Defined<RouteInput<Routes[N]>>;
type Arguments<N extends RouteName> = keyof Input<N> extends never ? [] : [Input<N>];

/** Calls a route of the contract. @throws ApiError */
export async function call<N extends RouteName>(name: N, ...[input]: Arguments<N>): Promise<RouteResponse<Routes[N]>> {
  const route: Route = routes[name];
  const {
    params = {},
    query = {},
    body,
  } = (input ?? {}) as {
    params?: Record<string, string>;
    query?: Record<string, string | number | undefined>;
    body?: unknown;
  };
  const path = route.path.replace(/:(\w+)/g, (_, key: string) => encodeURIComponent(params[key] ?? ''));
  const search = searchOf(query);
  const answer = await fetch(search.size > 0 ? `${path}?${search}` : path, {
    method: route.method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  }).catch(() => {
    throw new ApiError(0, {
      message: 'The server does not answer.',
      code: 'offline',
      hint: 'Check that Cortex runs (make status) and try again.',
      param: null,
    });
  });
  if (!answer.ok) throw await readError(answer);
  return route.response.parse(await answer.json()) as RouteResponse<Routes[N]>;
}

/** A query as it stands in an address, without what is not set. */
export const searchOf = (query: Record<string, string | number | undefined>): URLSearchParams =>
  new URLSearchParams(
    Object.entries(query).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]])),
  );

export async function readError(answer: Response): Promise<ApiError> {
  const parsed = errorBody.safeParse(await answer.json().catch(() => null));
  if (parsed.success) return new ApiError(answer.status, parsed.data.error);
  return new ApiError(answer.status, {
    message: `The server answered ${answer.status}.`,
    code: 'unknown',
    hint: 'make logs shows the cause.',
    param: null,
  });
}
