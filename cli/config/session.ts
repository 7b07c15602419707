import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { z } from 'zod';
import { CortexError } from '../../contract/errors.ts';
import type { Route } from '../../contract/route.ts';
import { routes } from '../../contract/routes.ts';
import { readContext } from '../context.ts';
import { call, exchange, serverUrl } from '../server.ts';

export interface SessionFlags {
  readonly url?: string;
  readonly username?: string;
  readonly passwordFile?: string;
  readonly allowHttp?: boolean;
}

/** Adds the flags of a command that signs in. */
export const signsIn = (command: Command): Command =>
  command
    .option('--url <address>', 'of the server (default: CORTEX_URL, or the one on this machine)')
    .option('--username <name>', 'who signs in (default: CORTEX_USERNAME, or admin)')
    .option('--password-file <file>', 'holds the password (default: CORTEX_PASSWORD_FILE)')
    .option('--allow-http', 'send the password to another machine unencrypted');

type Input = Omit<Parameters<typeof call>[1] & object, 'url' | 'cookie'>;
/** Calls a route as the user who has signed in. */
export type SignedInCall = <R extends Route>(route: R, input?: Input) => Promise<z.output<R['response']>>;

/**
 * Does something as a user, whose rights count as in the browser; the session ends with it.
 * @throws CortexError sign_in_missing, plain_http, file_unusable, server_unreachable; RefusedError
 */
export async function withSession<T>(flags: SessionFlags, act: (call: SignedInCall) => Promise<T>): Promise<T> {
  const { env } = readContext();
  const url = (flags.url ?? env.CORTEX_URL ?? serverUrl()).replace(/\/+$/, '');
  const file = flags.passwordFile ?? env.CORTEX_PASSWORD_FILE;
  if (file === undefined) throw new CortexError('sign_in_missing', {});
  if (!isPrivate(url) && flags.allowHttp !== true) throw new CortexError('plain_http', { url });
  const username = flags.username ?? env.CORTEX_USERNAME ?? 'admin';
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new CortexError('file_unusable', { file, reason: String(Object(cause).code ?? cause) }, { cause });
  });
  const password = text.replace(/\r?\n$/, '');
  const { cookie } = await exchange(routes.login, { url, body: { username, password } });
  const signedIn = { url, ...(cookie === null ? {} : { cookie }) };
  try {
    return await act((route, input = {}) => call(route, { ...input, ...signedIn }));
  } finally {
    await call(routes.logout, signedIn).catch(() => undefined);
  }
}

/** Whether what is sent there can't be read on the way. */
function isPrivate(address: string): boolean {
  if (!URL.canParse(address))
    throw new CortexError('option_invalid', { option: '--url', value: address, allowed: 'an http or https address' });
  const { protocol, hostname } = new URL(address);
  return protocol === 'https:' || /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}
