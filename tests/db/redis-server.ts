import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { freePort } from '../free-port.ts';

function isInstalled(): boolean {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Whether there is a Redis server to start. In the gate there must be one. */
export const hasRedis = isInstalled() || process.env.CI !== undefined || process.env.REQUIRE_DOCKER !== undefined;
if (!hasRedis) console.warn('Left out: limits in Redis (apt-get install redis-server).');

/** A real Redis server of its own, with a password, in a temporary folder. */
export class RedisServer {
  readonly password = 'of-this-test';
  readonly #dir = mkdtempSync(join(tmpdir(), 'cortex-redis-'));
  #port = 0;
  #process: ChildProcess | undefined;

  get url(): string {
    return `redis://:${this.password}@127.0.0.1:${this.#port}`;
  }

  /** On the same port each time. */
  async start(): Promise<void> {
    if (this.#port === 0) this.#port = await freePort();
    const flags = [
      '--port',
      `${this.#port}`,
      '--bind',
      '127.0.0.1',
      '--dir',
      this.#dir,
      '--save',
      '',
      '--appendonly',
      'no',
    ];
    this.#process = spawn('redis-server', [...flags, '--requirepass', this.password], { stdio: 'ignore' });
    await vi.waitUntil(() => this.#accepts(), { timeout: 10_000, interval: 25 });
  }

  /** Stops it as a hung machine would: it takes connections and answers nothing. */
  freeze(): void {
    this.#process?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#process?.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    const server = this.#process;
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, 'exit');
    server.kill('SIGKILL');
    await ended;
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #accepts(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = createConnection(this.#port, '127.0.0.1');
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('close', () => socket.destroy());
      socket.once('connect', () => socket.destroy());
    });
  }
}
