import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it, vi } from 'vitest';

const entry = fileURLToPath(new URL('../../dist/backend/src/main.js', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'cortex-port-'));
let server: ChildProcess | undefined;
afterEach(async () => {
  if (server !== undefined && server.exitCode === null) {
    const gone = once(server, 'exit');
    server.kill('SIGTERM');
    await gone;
  }
  rmSync(dir, { recursive: true, force: true });
});

it('workers share the port that the system chooses', async () => {
  const env = { CORTEX_DATA_DIR: dir, GATEWAY_PORT: '0', FRONTEND_PORT: '0', GATEWAY_WORKERS: '3' };
  server = spawn(process.execPath, [entry], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  let log = '';
  server.stdout?.on('data', (data: Buffer) => {
    log += data.toString();
  });
  const api = () => /API (http:\/\/127\.0\.0\.1:\d+)\/v1/.exec(log)?.[1];
  await vi.waitUntil(() => api() !== undefined, { timeout: 30_000, interval: 100 });
  const statuses = await Promise.all(
    Array.from(
      { length: 9 },
      async () => (await fetch(`${api()}/v1/models`, { headers: { connection: 'close' } })).status,
    ),
  );
  expect(new Set(statuses)).toEqual(new Set([401]));
});
