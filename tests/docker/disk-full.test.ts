import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { exitCodes } from '../../contract/errors.ts';

const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const mirrors = ['docker.io', 'ghcr.io', 'gcr.io'].map((name) => `${name}=http://127.0.0.1:5055/${name}`).join(',');
const dir = mkdtempSync(join(tmpdir(), 'cortex-full-'));

beforeAll(() => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=300m', 'tmpfs', dir]);
});
afterAll(() => {
  execFileSync('umount', [dir]);
  rmSync(dir, { recursive: true });
});

it('prepare on a disk that is too small says how much is needed before it writes an archive', () => {
  const env = { ...process.env, CORTEX_REGISTRY_MIRRORS: mirrors };
  const { status, stderr } = spawnSync(process.execPath, [cli, 'offline', 'prepare', '--output', dir], {
    env,
    encoding: 'utf8',
  });
  expect(stderr).toMatch(/Not enough space at .*: \d+ bytes are needed, \d+ are free/);
  expect(status).toBe(exitCodes.space);
  expect(readdirSync(dir).filter((name) => name.endsWith('.tar') || name === 'manifest.json')).toEqual([]);
});
