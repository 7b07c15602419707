import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { z } from 'zod';
import { CortexError, errorBody, exitCodes } from '../contract/errors.ts';
import type { Route } from '../contract/route.ts';
import { routes } from '../contract/routes.ts';
import { readContext } from './context.ts';

const print = (text: string) => process.stdout.write(`${text}\n`);

/** Commands that speak with the running server on this machine. */
export function registerServer(program: Command): void {
  program
    .command('health')
    .description('is the server well: exit code 0 only if it is')
    .option('--json', 'the answer as JSON')
    .action((options: { json?: boolean }) => health(options));
  program
    .command('bootstrap')
    .description('make the first administrator; prints the generated password once')
    .option('--username <name>', 'of the administrator', 'admin')
    .option('--organization <name>', 'that it belongs to', 'Default')
    .action((options: { username: string; organization: string }) => bootstrap(options));
}

async function health({ json }: { json?: boolean }): Promise<void> {
  const answer = await call(routes.health);
  if (json) print(JSON.stringify(answer));
  else {
    const { checks, models } = answer;
    print(`${answer.status === 'ok' ? '✓' : '✗'} Cortex ${answer.version}: ${answer.status}`);
    print(`  Database       ${checks.database}`);
    print(`  Docker         ${checks.docker}`);
    print(`  Usage journal  ${checks.usage_journal}`);
    print(`  Models         ${models.ready} of ${models.total} ready`);
  }
  process.exitCode = answer.status === 'ok' ? 0 : exitCodes.failed;
}

async function bootstrap(body: { username: string; organization: string }): Promise<void> {
  const { dataDir } = readContext();
  const token = await readFile(join(dataDir, 'local-token'), 'utf8').catch((cause: unknown) => {
    throw new CortexError('local_token_invalid', {}, { cause });
  });
  try {
    const { username, password } = await call(routes.bootstrap, { body, authorization: `Bearer ${token.trim()}` });
    print(
      'The first administrator is made. The password is shown only now; you are asked for a new one at the first sign-in.\n',
    );
    print(`  User name: ${username}`);
    print(`  Password:  ${password}`);
  } catch (error) {
    if (!(error instanceof RefusedError) || error.code !== 'already_bootstrapped') throw error;
    print('There is an administrator already: nothing to do.');
  }
}

/** The server's refusal as it told it. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** The server of this machine. */
export const serverUrl = (): string => `http://127.0.0.1:${readContext().env.GATEWAY_PORT || '8084'}`;

interface CallOptions {
  /** Where the server is, if not on this machine. */
  url?: string;
  body?: unknown;
  params?: Readonly<Record<string, string>>;
  query?: Readonly<Record<string, string>>;
  authorization?: string;
  cookie?: string;
}

/** Calls a route of the server. @throws CortexError server_unreachable, RefusedError */
export async function call<R extends Route>(route: R, options: CallOptions = {}): Promise<z.output<R['response']>> {
  return (await exchange(route, options)).body;
}

/** The same, with the cookie that the answer sets. @throws CortexError server_unreachable, RefusedError */
export async function exchange<R extends Route>(
  route: R,
  options: CallOptions,
): Promise<{ body: z.output<R['response']>; cookie: string | null }> {
  const url = options.url ?? serverUrl();
  const path = route.path.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(options.params?.[name] ?? ''));
  const query = options.query === undefined ? '' : `?${new URLSearchParams(options.query)}`;
  const headers: Record<string, string> = {
    ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
  };
  if (options.authorization !== undefined) headers.authorization = options.authorization;
  if (options.cookie !== undefined) headers.cookie = options.cookie;
  const answer = await fetch(url + path + query, {
    method: route.method,
    headers,
    // A password or a cookie goes to the server that was named, and to no other.
    redirect: 'error',
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
  }).catch((cause: unknown) => {
    const reason = String(Object(Object(cause).cause).code ?? cause);
    throw new CortexError('server_unreachable', { url, reason }, { cause });
  });
  const json: unknown = await answer.json().catch(() => null);
  if (!answer.ok) {
    const refused = errorBody.safeParse(json).data?.error;
    throw new RefusedError(
      refused?.code ?? String(answer.status),
      refused === undefined ? `HTTP ${answer.status}` : `${refused.message}\n  → ${refused.hint}`,
    );
  }
  const cookie = answer.headers.get('set-cookie')?.split(';', 1)[0] ?? null;
  return { body: route.response.parse(json) as z.output<R['response']>, cookie };
}
