import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../backend/src/config.ts';
import { ensureOrganization, insertUser } from '../../backend/src/db/identity-records.ts';
import { openDatabase } from '../../backend/src/db/open.ts';
import { hashPassword } from '../../backend/src/identity/passwords.ts';
import { type RunningServer, startServer } from '../../backend/src/server.ts';
import { errorBody } from '../../contract/errors.ts';
import { rightsOf } from '../../contract/rights.ts';
import type { Route } from '../../contract/route.ts';
import { routes } from '../../contract/routes.ts';

const userPassword = 'four random words';

/** The real server on the embedded database, over real sockets, without a Docker Engine. */
let dir: string;
let server: RunningServer;
let api: string;
let password: string;
let adminCookie: string;
let userCookie: string;

const localToken = () => readFileSync(join(dir, 'data/local-token'), 'utf8').trim();
const bootstrap = () =>
  fetch(`${api}/admin/bootstrap`, { method: 'POST', headers: { authorization: `Bearer ${localToken()}` } });
const login = (username: string, secret: string) =>
  fetch(`${api}/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username, password: secret }),
  });
const cookieOf = (answer: Response) => (answer.headers.get('set-cookie') ?? '').split(';', 1)[0] ?? '';
const codeOf = async (answer: Response) => errorBody.parse(await answer.json()).error.code;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'cortex-server-'));
  mkdirSync(join(dir, 'models'));
  const database = await openDatabase({ dataDir: join(dir, 'data') });
  const organizationId = await ensureOrganization(database.db, 'Default');
  const passwordHash = await hashPassword(userPassword);
  await insertUser(database.db, {
    organizationId,
    username: 'ada',
    role: 'user',
    passwordHash,
    mustChangePassword: false,
  });
  await database.close();
  const config = loadConfig({
    env: {
      CORTEX_DATA_DIR: join(dir, 'data'),
      CORTEX_PACKAGE_DIR: join(dir, 'package'),
      CORTEX_MODELS_DIR: join(dir, 'models'),
      DOCKER_HOST: `unix://${dir}/no-docker.sock`,
      OFFLINE_MODE: 'True',
      GATEWAY_PORT: '0',
      FRONTEND_PORT: '0',
      LOG_LEVEL: 'silent',
    },
  });
  server = await startServer(config);
  api = `http://127.0.0.1:${server.apiPort}`;
  const answer = await bootstrap();
  expect(answer.status).toBe(200);
  ({ password } = (await answer.json()) as { password: string });
  adminCookie = cookieOf(await login('admin', password));
  userCookie = cookieOf(await login('ada', userPassword));
});
afterAll(async () => {
  await server?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const all: (Route & { name: string })[] = Object.entries(routes).map(([name, route]) => ({
  name,
  ...(route as Route),
}));
const guarded = all.filter((route) => route.access !== 'public');
const call = (route: Route, headers: Record<string, string> = {}) =>
  fetch(api + route.path.replace(':id', 'nothing'), { method: route.method, headers });

describe('every route that is not public', () => {
  it.each(guarded)('$method $path refuses a request without a session', async (route) => {
    const answer = await call(route);
    expect(answer.status).toBe(401);
    expect(await codeOf(answer)).toBe(route.access === 'local' ? 'local_token_invalid' : 'unauthenticated');
    expect(answer.headers.get('x-request-id')).toMatch(/^req_/);
  });

  it.each(guarded)('$method $path refuses a cookie that merely says admin', async (route) => {
    const answer = await call(route, { cookie: 'cortex_session=admin' });
    expect(answer.status).toBe(401);
    expect(await codeOf(answer)).toBe(route.access === 'local' ? 'local_token_invalid' : 'session_invalid');
  });

  it.each(guarded)('$method $path refuses a session and a token that were made up', async (route) => {
    const made = 'x'.repeat(43);
    const answer = await call(route, { cookie: `cortex_session=${made}`, authorization: `Bearer ${made}` });
    expect(answer.status).toBe(401);
  });

  const needsRight = guarded.filter((route) => route.access !== 'session' && route.access !== 'local');
  const beyondUser = needsRight.filter((route) => !rightsOf.user.some((right) => right === route.access));
  it.each(beyondUser)('$method $path refuses a user without the right $access', async (route) => {
    const answer = await call(route, { cookie: userCookie });
    expect(answer.status).toBe(403);
    expect(await codeOf(answer)).toBe('forbidden');
  });

  const harmless = needsRight.filter((route) => route.name !== 'modelEvents');
  it.each(harmless)('$method $path lets an administrator in', async (route) => {
    const answer = await call(route, { cookie: adminCookie });
    expect([401, 403]).not.toContain(answer.status);
    await answer.body?.cancel();
  });
});

describe('the API', () => {
  it('answers an unknown path with the shape of every error', async () => {
    const answer = await fetch(`${api}/admin/nothing`);
    expect(answer.status).toBe(404);
    expect(await codeOf(answer)).toBe('route_not_found');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  });

  it('names the field that is wrong', async () => {
    const headers = { cookie: adminCookie, 'content-type': 'application/json' };
    const body = JSON.stringify({ name: 'k', scopes: ['everything'] });
    const answer = await fetch(`${api}/admin/keys`, { method: 'POST', headers, body });
    expect(answer.status).toBe(400);
    expect(errorBody.parse(await answer.json()).error).toMatchObject({ code: 'invalid_request', param: 'scopes.0' });
  });

  it.each([
    ['not JSON', 'application/json', '{'],
    ['a form', 'application/x-www-form-urlencoded', 'name=k'],
    ['plain text', 'text/plain', '{"name":"k"}'],
  ])('refuses a body that is %s', async (_what, type, body) => {
    const headers = { cookie: adminCookie, 'content-type': type };
    const answer = await fetch(`${api}/admin/keys`, { method: 'POST', headers, body });
    expect(await codeOf(answer)).toBe('invalid_request');
  });

  it("refuses another site's page in a signed-in browser", async () => {
    const headers = { cookie: adminCookie, 'content-type': 'application/json', origin: 'http://evil.test' };
    const answer = await fetch(`${api}/admin/keys`, { method: 'POST', headers, body: JSON.stringify({ name: 'k' }) });
    expect(answer.status).toBe(403);
    expect(await codeOf(answer)).toBe('cross_origin');
  });

  it('points a person at the UI', async () => {
    expect(await (await fetch(api)).json()).toMatchObject({ name: 'Cortex', api: '/v1' });
  });

  it('describes every route in OpenAPI', async () => {
    const { paths } = (await (await fetch(`${api}/openapi.json`)).json()) as { paths: Record<string, object> };
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(described.sort()).toEqual(
      all.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`).sort(),
    );
  });

  it('is healthy without Docker, and says that there is none', async () => {
    const answer = await fetch(`${api}/health`);
    expect(await answer.json()).toMatchObject({ status: 'ok', checks: { database: 'ok', docker: 'absent' } });
  });

  it('tells an administrator why there is no Docker and how to get it', async () => {
    const answer = await fetch(`${api}/admin/system/summary`, { headers: { cookie: adminCookie } });
    expect(answer.status).toBe(200);
    const { docker } = routes.systemSummary.response.parse(await answer.json());
    expect(docker.available).toBe(false);
    expect(docker.problem).toContain('No Docker Engine was found');
    expect(docker.hint).toContain('docker.io');
  });
});

describe('the first administrator', () => {
  it('cannot be made twice', async () => {
    const answer = await bootstrap();
    expect(answer.status).toBe(409);
    expect(await codeOf(answer)).toBe('already_bootstrapped');
  });

  it('is signed in by a cookie that scripts and other sites cannot use', async () => {
    const answer = await login('admin', password);
    expect(answer.headers.get('set-cookie')).toMatch(
      /^cortex_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=\d+$/,
    );
    const me = await fetch(`${api}/auth/me`, { headers: { cookie: cookieOf(answer) } });
    expect(await me.json()).toMatchObject({
      user: { username: 'admin', must_change_password: true },
      offline_mode: true,
    });
  });

  it('is signed out on the server, not only in the browser', async () => {
    const cookie = cookieOf(await login('admin', password));
    expect((await fetch(`${api}/auth/logout`, { method: 'POST', headers: { cookie } })).status).toBe(200);
    expect(await codeOf(await fetch(`${api}/auth/me`, { headers: { cookie } }))).toBe('session_invalid');
  });
});

it('failed sign-ins are slowed down and say for how long', async () => {
  for (let n = 0; n < 5; n++) expect((await login('mallory', 'guess')).status).toBe(401);
  const answer = await login('mallory', 'guess');
  expect(answer.status).toBe(429);
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
});

describe('an API key', () => {
  const json = { 'content-type': 'application/json' };
  it('made here opens /v1 at once, and no more once revoked', async () => {
    const headers = { cookie: adminCookie, ...json };
    const made = await fetch(`${api}/admin/keys`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ name: 'laptop' }),
    });
    const { key, token } = routes.createKey.response.parse(await made.json());
    const list = () => fetch(`${api}/v1/models`, { headers: { authorization: `Bearer ${token}` } });
    expect(await (await list()).json()).toMatchObject({ object: 'list', data: [] });
    const revoked = await fetch(`${api}/admin/keys/${key.id}`, { method: 'DELETE', headers: { cookie: adminCookie } });
    expect(revoked.status).toBe(200);
    expect((await list()).status).toBe(401);
  });
});

describe("the models' events", () => {
  const open = async (signal?: AbortSignal) => {
    const answer = await fetch(`${api}/admin/models/events`, {
      headers: { cookie: userCookie },
      ...(signal ? { signal } : {}),
    });
    expect(answer.headers.get('content-type')).toContain('text/event-stream');
    const reader = answer.body?.getReader();
    if (!reader) throw new Error('no body');
    expect(new TextDecoder().decode((await reader.read()).value)).toContain(':');
    return reader;
  };

  it('may be left by the client at any time', async () => {
    const abort = new AbortController();
    const reader = await open(abort.signal);
    abort.abort();
    await expect(reader.read()).rejects.toThrow();
    expect((await fetch(`${api}/health`)).status).toBe(200);
  });
});

describe('the UI port', () => {
  it('answers the API as well, so that the page has one origin', async () => {
    const answer = await fetch(`http://127.0.0.1:${server.uiPort}/auth/me`, { headers: { cookie: adminCookie } });
    expect(answer.status).toBe(200);
  });

  it('gives the page for its own paths, which may load nothing from elsewhere', async () => {
    const answer = await fetch(`http://127.0.0.1:${server.uiPort}/models/mdl_1`);
    const built = existsSync(new URL('../../dist/frontend/index.html', import.meta.url));
    expect(answer.status).toBe(built ? 200 : 503);
    expect(answer.headers.get('content-type')).toContain('text/html');
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'self'");
  });
});

describe('a start that cannot be', () => {
  it('names the port that is taken and the setting that changes it', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const address = taken.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const other = mkdtempSync(join(tmpdir(), 'cortex-taken-'));
    const env = { CORTEX_DATA_DIR: other, GATEWAY_PORT: String(port), FRONTEND_PORT: '0', LOG_LEVEL: 'silent' };
    await expect(startServer(loadConfig({ env }))).rejects.toMatchObject({
      code: 'port_in_use',
      hint: expect.stringContaining('GATEWAY_PORT'),
    });
    taken.close();
    rmSync(other, { recursive: true, force: true });
  });

  it('says that the database server does not answer', async () => {
    const other = mkdtempSync(join(tmpdir(), 'cortex-nodb-'));
    const url = 'postgres://cortex@127.0.0.1:1/cortex';
    const env = {
      CORTEX_DATA_DIR: other,
      DATABASE_URL: url,
      GATEWAY_PORT: '0',
      FRONTEND_PORT: '0',
      LOG_LEVEL: 'silent',
    };
    await expect(startServer(loadConfig({ env }))).rejects.toMatchObject({ code: 'database_unavailable' });
    rmSync(other, { recursive: true, force: true });
  });
});

it('a stop ends open event streams and frees the ports', async () => {
  const other = mkdtempSync(join(tmpdir(), 'cortex-stop-'));
  const env = {
    CORTEX_DATA_DIR: other,
    DOCKER_HOST: `unix://${other}/none.sock`,
    GATEWAY_PORT: '0',
    FRONTEND_PORT: '0',
    LOG_LEVEL: 'silent',
  };
  const second = await startServer(loadConfig({ env }));
  const at = `http://127.0.0.1:${second.apiPort}`;
  const token = readFileSync(join(other, 'local-token'), 'utf8').trim();
  const made = await fetch(`${at}/admin/bootstrap`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
  const { password: secret } = routes.bootstrap.response.parse(await made.json());
  const signedIn = await fetch(`${at}/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'admin', password: secret }),
  });
  const events = await fetch(`${at}/admin/models/events`, { headers: { cookie: cookieOf(signedIn) } });
  const startedAtMs = Date.now();
  await second.stop();
  await events.text();
  expect(Date.now() - startedAtMs).toBeLessThan(5_000);
  await expect(fetch(`${at}/health`)).rejects.toThrow();
  rmSync(other, { recursive: true, force: true });
});

describe('usage', () => {
  const get = (path: string) => fetch(api + path, { headers: { cookie: adminCookie } });

  it('is exported as a file that no browser shows', async () => {
    const csv = await get('/admin/usage/export.csv');
    expect(csv.status).toBe(200);
    expect(csv.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    expect(csv.headers.get('content-disposition')).toBe('attachment; filename="cortex-usage-export.csv"');
    expect(csv.headers.get('x-content-type-options')).toBe('nosniff');
    expect(await csv.text()).toMatch(/^\uFEFF?request_id,at,key_id/);
    const ndjson = await get('/admin/usage/export.ndjson');
    expect(ndjson.status).toBe(200);
    expect(await ndjson.text()).toBe('');
  });

  it.each([
    ['/admin/usage?cursor=made-up', 'cursor'],
    ['/admin/usage?model=a%00b', 'model'],
    [`/admin/usage?cursor=${Buffer.from('["+275760-09-13T00:00:00Z","x"]').toString('base64url')}`, 'cursor'],
    ['/admin/usage?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z', 'from'],
    ['/admin/usage/export.csv?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z', 'from'],
    ['/admin/usage/series?from=yesterday', 'from'],
    ['/admin/usage/series?from=2020-01-01T00:00:00Z&bucket=hour', 'from'],
    ['/admin/usage/series?bucket=minute', 'bucket'],
    ['/admin/usage/summary?outcome=good', 'outcome'],
  ])('%s names what is wrong', async (path, param) => {
    const answer = await get(path);
    expect(answer.status).toBe(400);
    expect(errorBody.parse(await answer.json()).error).toMatchObject({ code: 'invalid_request', param });
  });

  it('of a day without requests is a row of zeros', async () => {
    const answer = await get('/admin/usage/series?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z');
    const { series } = routes.usageSeries.response.parse(await answer.json());
    expect(series[0]?.requests).toEqual(Array.from({ length: 24 }, () => 0));
  });
});
