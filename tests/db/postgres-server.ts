import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from '../free-port.ts';

/** Where Debian keeps Postgres's programs. */
const postgresRoot = '/usr/lib/postgresql';
export const postgresVersion = existsSync(postgresRoot) ? readdirSync(postgresRoot).sort().at(-1) : undefined;

function postgresBin(): string {
  if (!postgresVersion) throw new Error('These tests need a Postgres server: apt-get install postgresql');
  return join(postgresRoot, postgresVersion, 'bin');
}

export interface PostgresServer {
  readonly url: string;
  /** Of the process that starts all others. */
  readonly pid: number;
  /** Ends it at once, as a crash does; its data stay. */
  crash(): Promise<void>;
  /** Starts it again after a crash, at the same place. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** A real Postgres server of its own in a temporary folder. It refuses to run as root, so root runs it as postgres. */
export async function startPostgres(): Promise<PostgresServer> {
  const bin = postgresBin();
  const dir = mkdtempSync(join(tmpdir(), 'cortex-postgres-'));
  const asRoot = userInfo().uid === 0;
  const owner = (flag: '-u' | '-g') => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }).trim());
  const identity = asRoot ? { uid: owner('-u'), gid: owner('-g') } : {};
  if (asRoot) execFileSync('chown', ['postgres', dir]);
  const options = { ...identity, cwd: dir, stdio: 'pipe' as const };
  execFileSync(join(bin, 'initdb'), ['-D', join(dir, 'data'), '-U', 'cortex', '-A', 'trust', '--no-sync'], options);
  const port = await freePort();
  const flags = ['-D', join(dir, 'data'), '-p', `${port}`, '-h', '127.0.0.1', '-k', dir, '-F'];
  const url = `postgres://cortex@127.0.0.1:${port}/postgres`;
  const start = async () => {
    const started = spawn(join(bin, 'postgres'), flags, { ...options, stdio: 'ignore' });
    await accepting(url, started);
    return started;
  };
  let server = await start();
  const crash = async () => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, 'exit');
    server.kill('SIGQUIT');
    await ended;
  };
  return {
    url,
    get pid() {
      return server.pid ?? 0;
    },
    crash,
    restart: async () => {
      server = await start();
    },
    stop: async () => {
      await crash();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function accepting(url: string, server: ChildProcess): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const client = new pg.Client(url);
    try {
      await client.connect();
      await client.end();
      return;
    } catch (error) {
      if (Date.now() > deadline || server.exitCode !== null) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
