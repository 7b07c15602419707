import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { type RouteInput, type RouteName, type RouteResponse, type Routes, routes } from '../../contract/routes.ts';
import { freePort } from '../../tests/free-port.ts';
import { modelName } from './answers.ts';
import { startListening } from './child.ts';
import type { Places, Target } from './targets.ts';

interface CortexOptions {
  readonly workers?: number;
  /** Its data; a new folder without. */
  readonly dataDir?: string;
}

/** What was made with a data folder's first start, and is there at its next. */
interface Made {
  readonly databaseUrl: string;
  readonly login: { readonly username: string; readonly password: string } | null;
}

const made = new Map<string, Made>();
let folders = 0;

/**
 * The server as it is shipped, with everything on: a key, limits that are never reached, metering to the database. The mock is
 * its external endpoint.
 */
export async function startCortex(
  { scripts, work, postgresUrl }: Places,
  mock: Target,
  { workers = 1, dataDir }: CortexOptions = {},
): Promise<Target> {
  const key = 'via-cortex';
  folders += 1;
  const data = dataDir ?? join(work, `cortex-${folders}`);
  const before = made.get(data) ?? { databaseUrl: await newDatabase(postgresUrl, folders), login: null };
  const [port, uiPort] = [await freePort(), await freePort()];
  const child = await startListening(process.execPath, [join(scripts, '../../backend/src/main.js')], port, {
    CORTEX_DATA_DIR: data,
    DATABASE_URL: before.databaseUrl,
    GATEWAY_PORT: String(port),
    FRONTEND_PORT: String(uiPort),
    GATEWAY_WORKERS: String(workers),
    LOG_LEVEL: 'error',
  });
  const admin = new Admin(`http://127.0.0.1:${port}`);
  made.set(data, { ...before, login: await admin.signIn(data, before.login) });
  const { endpoints } = await admin.call('getRouting');
  for (const { id } of endpoints) await admin.call('deleteEndpoint', { params: { id } });
  const url = `http://127.0.0.1:${mock.port}`;
  await admin.call('createEndpoint', { body: { name: 'mock', served_name: modelName, url, api_key: key } });
  const { key: record, token } = await admin.call('createKey', { body: { name: 'bench', scopes: ['chat'] } });
  const limit = { requests_per_minute: 1e9, tokens_per_minute: 1e12, concurrent_requests: 1e6, tokens_per_day: 1e15 };
  await admin.call('setLimit', { body: { subject: 'key', id: record.id, ...limit } });
  const headers = { authorization: `Bearer ${token}` };
  return { ...child, name: 'Cortex', port, key, headers, exact: true, marker: 'x-request-id' };
}

/** One of its own for each data folder; an empty text is the embedded one. */
async function newDatabase(postgresUrl: string | null, number: number): Promise<string> {
  if (postgresUrl === null) return '';
  const client = new pg.Client({ connectionString: postgresUrl });
  await client.connect();
  try {
    await client.query(`create database bench_${number}`);
  } finally {
    await client.end();
  }
  const url = new URL(postgresUrl);
  url.pathname = `/bench_${number}`;
  return url.href;
}

class Admin {
  readonly #base: string;
  #cookie = '';

  constructor(base: string) {
    this.#base = base;
  }

  async signIn(dataDir: string, known: Made['login']): Promise<NonNullable<Made['login']>> {
    const authorization = `Bearer ${readFileSync(join(dataDir, 'local-token'), 'utf8').trim()}`;
    const { username, password } = known ?? (await this.call('bootstrap', { body: {} }, { authorization }));
    await this.call('login', { body: { username, password } });
    return { username, password };
  }

  async call<N extends RouteName>(
    name: N,
    { params, body }: Partial<Pick<RouteInput<Routes[N]>, 'params' | 'body'>> = {},
    headers: Record<string, string> = {},
  ): Promise<RouteResponse<Routes[N]>> {
    const route = routes[name];
    const path = route.path.replace(/:(\w+)/g, (_, part: string) => encodeURIComponent(String(Object(params)[part])));
    const answer = await fetch(`${this.#base}${path}`, {
      method: route.method,
      headers: { 'content-type': 'application/json', cookie: this.#cookie, ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const given: unknown = await answer.json();
    if (!answer.ok) throw new Error(`${name}: ${answer.status} ${JSON.stringify(given)}`);
    this.#cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? this.#cookie;
    return route.response.parse(given) as RouteResponse<Routes[N]>;
  }
}
