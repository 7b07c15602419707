import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../backend/src/config.ts';
import { ensureOrganization, insertUser } from '../../backend/src/db/identity-records.ts';
import { openDatabase } from '../../backend/src/db/open.ts';
import { enginePaths } from '../../backend/src/gateway/surface.ts';
import { hashPassword } from '../../backend/src/identity/passwords.ts';
import { type RunningServer, startServer } from '../../backend/src/server.ts';
import { errorBody } from '../../contract/errors.ts';
import { type Scope, scopes } from '../../contract/keys.ts';
import { role } from '../../contract/rights.ts';
import type { Route } from '../../contract/route.ts';
import { routes } from '../../contract/routes.ts';

/** Who may call each route. Written down once more here: who changes the contract has to change this as well. */
type Group = 'anyone' | 'signed in' | 'user and admin' | 'admin' | 'command line';
const expected: Record<string, Group> = {
  'POST /auth/login': 'anyone',
  'GET /health': 'anyone',
  'POST /auth/logout': 'signed in',
  'GET /auth/me': 'signed in',
  'POST /auth/password': 'signed in',
  'POST /admin/bootstrap': 'command line',
  'GET /admin/models': 'user and admin',
  'GET /admin/models/:id': 'user and admin',
  'GET /admin/models/events': 'user and admin',
  'GET /admin/system/image-pulls': 'user and admin',
  'GET /admin/routing': 'user and admin',
  'GET /admin/models/:id/logs': 'user and admin',
  'GET /admin/models/:id/logs/engine.log': 'user and admin',
  'GET /admin/models/:id/logs/stream': 'user and admin',
  'GET /admin/models/:id/memory': 'user and admin',
  'GET /admin/gpus': 'admin',
  'GET /admin/folders': 'admin',
  'GET /admin/folders/inspect': 'admin',
  'GET /admin/system/docker-images': 'admin',
  'GET /admin/system/summary': 'admin',
  'POST /admin/system/image-pulls/cancel': 'admin',
  'GET /admin/usage': 'admin',
  'GET /admin/usage/export.csv': 'admin',
  'GET /admin/usage/export.ndjson': 'admin',
  'GET /admin/usage/series': 'admin',
  'GET /admin/usage/summary': 'admin',
  'GET /admin/keys': 'admin',
  'POST /admin/keys': 'admin',
  'DELETE /admin/keys/:id': 'admin',
  'GET /admin/limits': 'admin',
  'POST /admin/limits': 'admin',
  'GET /admin/inspector': 'admin',
  'POST /admin/inspector': 'admin',
  'DELETE /admin/inspector': 'admin',
  'GET /admin/inspector/:request_id': 'admin',
  'POST /admin/models': 'admin',
  'POST /admin/models/plan': 'admin',
  'PATCH /admin/models/:id': 'admin',
  'DELETE /admin/models/:id': 'admin',
  'GET /admin/models/:id/on-demand': 'user and admin',
  'POST /admin/models/:id/on-demand': 'admin',
  'GET /admin/models/:id/benchmarks': 'user and admin',
  'POST /admin/models/:id/benchmarks': 'admin',
  'POST /admin/models/:id/check': 'admin',
  'POST /admin/benchmarks/:id/cancel': 'admin',
  'DELETE /admin/benchmarks/:id': 'admin',
  'POST /admin/models/:id/start': 'admin',
  'POST /admin/models/:id/stop': 'admin',
  'POST /admin/configuration/diff': 'admin',
  'GET /admin/downloads': 'admin',
  'POST /admin/downloads': 'admin',
  'POST /admin/downloads/look': 'admin',
  'POST /admin/downloads/token': 'admin',
  'POST /admin/downloads/:id/cancel': 'admin',
  'POST /admin/downloads/:id/resume': 'admin',
  'DELETE /admin/downloads/:id': 'admin',
  'GET /admin/recipes': 'admin',
  'POST /admin/recipes': 'admin',
  'POST /admin/recipes/read': 'admin',
  'GET /admin/recipes/:id': 'admin',
  'POST /admin/recipes/:id/versions': 'admin',
  'GET /admin/recipes/:id/diff': 'admin',
  'GET /admin/recipes/:id/file': 'admin',
  'POST /admin/recipes/:id/apply': 'admin',
  'POST /admin/recipes/:id/model': 'admin',
  'DELETE /admin/recipes/:id': 'admin',
  'POST /admin/routing/aliases': 'admin',
  'DELETE /admin/routing/aliases/:name': 'admin',
  'POST /admin/routing/endpoints': 'admin',
  'PATCH /admin/routing/endpoints/:id': 'admin',
  'DELETE /admin/routing/endpoints/:id': 'admin',
  'POST /admin/routing/serving': 'admin',
};

/** The scope that each path of /v1 wants. */
const expectedScopes: Record<string, Scope> = {
  'POST /v1/chat/completions': 'chat',
  'POST /v1/completions': 'completions',
  'POST /v1/responses': 'responses',
  'POST /v1/messages': 'messages',
  'POST /v1/messages/count_tokens': 'messages',
  'POST /v1/embeddings': 'embeddings',
  'POST /v1/rerank': 'rerank',
  'POST /v1/score': 'rerank',
  'POST /v1/audio/transcriptions': 'audio',
  'POST /v1/audio/speech': 'audio',
  'POST /v1/tokenize': 'tokenize',
  'POST /v1/detokenize': 'tokenize',
  'GET /v1/models': 'models',
  'GET /v1/models/:id': 'models',
};

const passwords = { admin: '', user: 'four random words' };
const all = (Object.values(routes) as Route[]).map(({ method, path }) => `${method} ${path}`);
const gatewayPaths = [
  ...Object.keys(enginePaths).map((path) => `POST ${path}`),
  'GET /v1/models',
  'GET /v1/models/:id',
];

let dir: string;
let server: RunningServer;
let api: string;
/** The headers of every caller, by what it is. */
const callers: Record<string, Record<string, string>> = { nobody: {} };

const call = (route: string, headers: Record<string, string>) => {
  const [method = '', path = ''] = route.split(' ');
  const body = method === 'POST' ? JSON.stringify({ model: 'nobody' }) : undefined;
  const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
  const url = api + path.replace(/:\w+/, 'nothing');
  return fetch(url, { method, headers: { ...type, ...headers }, ...(body === undefined ? {} : { body }) });
};

/** `in` where the caller was let through, whatever came of it; otherwise the status and code. */
async function outcome(route: string, headers: Record<string, string>): Promise<string> {
  const answer = await call(route, headers);
  if (answer.status !== 401 && answer.status !== 403) {
    await answer.body?.cancel();
    return answer.status === 500 ? '500' : 'in';
  }
  return `${answer.status} ${errorBody.parse(await answer.json()).error.code}`;
}

async function signIn(username: 'admin' | 'ada'): Promise<string> {
  const answer = await fetch(`${api}/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username, password: username === 'admin' ? passwords.admin : passwords.user }),
  });
  expect(answer.status).toBe(200);
  return answer.headers.get('set-cookie')?.split(';', 1)[0] ?? '';
}

async function makeKey(values: object): Promise<{ id: string; authorization: string }> {
  const answer = await fetch(`${api}/admin/keys`, {
    method: 'POST',
    headers: { cookie: callers.admin?.cookie ?? '', 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'k', ...values }),
  });
  const { key, token } = routes.createKey.response.parse(await answer.json());
  return { id: key.id, authorization: `Bearer ${token}` };
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'cortex-access-'));
  mkdirSync(join(dir, 'models'));
  const database = await openDatabase({ dataDir: join(dir, 'data') });
  const organizationId = await ensureOrganization(database.db, 'Default');
  const passwordHash = await hashPassword(passwords.user);
  const person = { organizationId, username: 'ada', role: 'user', passwordHash, mustChangePassword: false } as const;
  await insertUser(database.db, person);
  await database.close();
  const env = {
    CORTEX_DATA_DIR: join(dir, 'data'),
    CORTEX_PACKAGE_DIR: join(dir, 'package'),
    CORTEX_MODELS_DIR: join(dir, 'models'),
    DOCKER_HOST: `unix://${dir}/no-docker.sock`,
    GATEWAY_PORT: '0',
    FRONTEND_PORT: '0',
    LOG_LEVEL: 'silent',
  };
  server = await startServer(loadConfig({ env }));
  api = `http://127.0.0.1:${server.apiPort}`;
  const local = `Bearer ${readFileSync(join(dir, 'data/local-token'), 'utf8').trim()}`;
  const made = await fetch(`${api}/admin/bootstrap`, { method: 'POST', headers: { authorization: local } });
  passwords.admin = routes.bootstrap.response.parse(await made.json()).password;

  callers['command line'] = { authorization: local };
  callers.admin = { cookie: await signIn('admin') };
  callers.user = { cookie: await signIn('ada') };
  callers['signed out'] = { cookie: await signIn('ada') };
  await call('POST /auth/logout', callers['signed out']);
  callers['made up'] = { cookie: 'cortex_session=admin' };
  for (const scope of scopes) {
    const { authorization } = await makeKey({ scopes: [scope] });
    callers[`key ${scope}`] = { authorization };
  }
  const { authorization } = await makeKey({});
  callers['key of all scopes'] = { authorization };
  const revoked = await makeKey({});
  expect((await call(`DELETE /admin/keys/${revoked.id}`, callers.admin)).status).toBe(200);
  callers['revoked key'] = { authorization: revoked.authorization };
  const expired = await makeKey({ expires_at: '2020-01-01T00:00:00Z' });
  callers['expired key'] = { authorization: expired.authorization };
});
afterAll(async () => {
  await server?.stop();
  rmSync(dir, { recursive: true, force: true });
});

it('every route and every role is expected, and nothing else is', () => {
  expect(Object.keys(expected).sort()).toEqual([...all].sort());
  expect(Object.keys(expectedScopes).sort()).toEqual([...gatewayPaths].sort());
  expect(role.options).toEqual(['admin', 'user']);
});

describe('the control plane', () => {
  /** What each caller gets of a route of the group; keys are for /v1 alone. */
  const answerOf = (group: Group | undefined, caller: string): string => {
    if (group === undefined) return 'no expectation for this route';
    if (group === 'anyone') return 'in';
    if (group === 'command line') return caller === 'command line' ? 'in' : '401 local_token_invalid';
    if (caller === 'signed out' || caller === 'made up') return '401 session_invalid';
    if (caller === 'admin') return 'in';
    if (caller === 'user') return group === 'admin' ? '403 forbidden' : 'in';
    return '401 unauthenticated';
  };

  it.each(all)('%s lets in who may call it, and nobody else', async (route) => {
    const wanted: Record<string, string> = {};
    const got: Record<string, string> = {};
    for (const [caller, headers] of Object.entries(callers)) {
      const leaves = route === 'POST /auth/logout' && (caller === 'admin' || caller === 'user');
      const own = leaves ? { cookie: await signIn(caller === 'admin' ? 'admin' : 'ada') } : headers;
      wanted[caller] = answerOf(expected[route], caller);
      got[caller] = await outcome(route, own);
    }
    expect(got).toEqual(wanted);
  });

  it.each(all.filter((route) => !route.startsWith('GET ')))("%s is refused to another site's page", async (route) => {
    const forged = [
      { origin: 'http://evil.test' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ];
    for (const headers of [...forged, { origin: 'null' }])
      expect(await outcome(route, { ...callers.admin, ...headers })).toBe('403 cross_origin');
  });

  it("its own page may do what the administrator may, in the browser's words", async () => {
    const headers = { ...callers.admin, origin: api, 'sec-fetch-site': 'same-origin' };
    expect(await outcome('DELETE /admin/keys/:id', headers)).toBe('in');
  });

  it('has no other method on any path, not even for an administrator', async () => {
    const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
    const known = (method: string, path: string) =>
      all.some((route) => new RegExp(`^${route.replace(/:\w+/g, '[^/ ]+')}$`).test(`${method} ${path}`));
    for (const path of new Set(all.map((route) => (route.split(' ')[1] ?? '').replace(/:\w+/, 'nothing')))) {
      for (const method of methods.filter((name) => !known(name, path))) {
        const answer = await call(`${method} ${path}`, callers.admin ?? {});
        expect(answer.status, `${method} ${path}`).toBe(404);
      }
    }
  });
});

describe('the gateway', () => {
  const answerOf = (route: string, caller: string): string => {
    if (caller === 'nobody') return '401 api_key_missing';
    if (caller === 'signed out' || caller === 'made up') return '401 session_invalid';
    if (caller === 'revoked key' || caller === 'command line') return '401 invalid_api_key';
    if (caller === 'expired key') return '401 api_key_expired';
    if (caller === 'admin' || caller === 'user' || caller === 'key of all scopes') return 'in';
    return caller === `key ${expectedScopes[route]}` ? 'in' : '403 insufficient_scope';
  };
  const codeOnly = async (route: string, headers: Record<string, string>) => {
    const answer = await call(route, headers);
    const body = (await answer.json()) as { error?: { code?: string; type?: string } };
    return { status: answer.status, body };
  };

  it.each(gatewayPaths)('%s lets in who may call it, and nobody else', async (route) => {
    const wanted: Record<string, number | string> = {};
    const got: Record<string, number | string> = {};
    for (const [caller, headers] of Object.entries(callers)) {
      const answer = answerOf(route, caller);
      const { status, body } = await codeOnly(route, headers);
      const [code] = answer.split(' ');
      wanted[caller] = answer === 'in' ? 'in' : `${code}`;
      got[caller] = status === 401 || status === 403 || status === 500 ? `${status}` : 'in';
      if (answer !== 'in' && body.error?.code !== undefined) expect(`${status} ${body.error.code}`).toBe(answer);
    }
    expect(got).toEqual(wanted);
  });

  it.each(gatewayPaths)("%s spends nobody's tokens for another site's page", async (route) => {
    const { status } = await codeOnly(route, { ...callers.user, 'sec-fetch-site': 'cross-site' });
    // Who only reads, reads into a page that the browser shows to nobody: no origin is let in.
    expect(status === 403).toBe(route.startsWith('POST '));
  });

  it('says of no path to nobody whether there is one', async () => {
    for (const route of [
      'GET /v1/nothing',
      'POST /v1/models',
      'GET /v1/chat/completions',
      'DELETE /v1/models/x',
      'GET /v1',
    ])
      expect(await outcome(route, {})).toBe('401 api_key_missing');
  });
});
