import { errorBody } from '../../../contract/errors.ts';
import type { Route } from '../../../contract/route.ts';
import { type RouteInput, type RouteName, type RouteResponse, type Routes, routes } from '../../../contract/routes.ts';

/** Hears `end` when the server says that nobody is signed in (any more). */
export const session = new EventTarget();
/** Whether the server answered when it was asked last; hears `change`. */
export const connection = Object.assign(new EventTarget(), { isThere: true });
const signedOutCodes: readonly string[] = ['unauthenticated', 'session_invalid', 'api_key_missing'];

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

/** What the server says about one field of a form, in its own words; undefined where it speaks of something else. */
export function errorAt(error: unknown, field: string): string | undefined {
  if (!(error instanceof ApiError) || error.param === null) return undefined;
  if (error.param !== field && !error.param.startsWith(`${field}.`)) return undefined;
  if (error.code !== 'invalid_request') return `${error.message} ${error.hint}`;
  // The sentence names the field first; beside the field that is said already.
  return error.message.split(`${error.param}: `).at(-1);
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
    setConnection(false);
    throw new ApiError(0, {
      message: 'The server does not answer.',
      code: 'offline',
      hint: 'Check that Cortex runs (make status) and try again.',
      param: null,
    });
  });
  setConnection(true);
  if (!answer.ok) throw await readError(answer);
  return route.response.parse(await answer.json()) as RouteResponse<Routes[N]>;
}

function setConnection(isThere: boolean): void {
  if (connection.isThere === isThere) return;
  connection.isThere = isThere;
  connection.dispatchEvent(new Event('change'));
}

/** A query as it stands in an address, without what is not set. */
export const searchOf = (query: Record<string, string | number | undefined>): URLSearchParams =>
  new URLSearchParams(
    Object.entries(query).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]])),
  );

export async function readError(answer: Response): Promise<ApiError> {
  const parsed = errorBody.safeParse(await answer.json().catch(() => null));
  if (parsed.success) {
    if (signedOutCodes.includes(parsed.data.error.code)) session.dispatchEvent(new Event('end'));
    return new ApiError(answer.status, parsed.data.error);
  }
  return new ApiError(answer.status, {
    message: `The server answered ${answer.status}.`,
    code: 'unknown',
    hint: 'make logs shows the cause.',
    param: null,
  });
}
