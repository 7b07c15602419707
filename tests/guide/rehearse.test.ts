import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { writeTinyModel } from '../fixtures/tiny-model.ts';

const run = promisify(execFile);
const repository = fileURLToPath(new URL('../../', import.meta.url));
const mirrors = ['docker.io', 'ghcr.io', 'gcr.io'].map((name) => `${name}=http://127.0.0.1:5055/${name}`).join(',');
const ground = process.env.CORTEX_GROUND ?? join(repository, '.tests/ground');

/** On the connected machine, before the drive leaves. */
describe('cortex offline rehearse', () => {
  const work = mkdtempSync(join(tmpdir(), 'cortex-rehearse-'));
  afterAll(() => rmSync(work, { recursive: true, force: true }));

  // The checkout's own settings stay out of it.
  const env = () => ({
    ...process.env,
    CORTEX_REGISTRY_MIRRORS: mirrors,
    CORTEX_ROOT: join(work, 'checkout'),
    XDG_CONFIG_HOME: join(work, 'config'),
    PATH: `${join(ground, 'trixie/usr/bin')}:${join(ground, 'trixie/usr/sbin')}:${process.env.PATH ?? ''}`,
  });
  const cortex = (...args: string[]) =>
    run(process.execPath, [join(repository, 'dist/cli/main.js'), 'offline', ...args], {
      env: env(),
      cwd: work,
      maxBuffer: 1 << 26,
    }).then(
      ({ stdout }) => ({ code: 0, output: stdout }),
      (error: unknown) => ({
        code: Number(Object(error).code),
        output: String(Object(error).stdout) + String(Object(error).stderr),
      }),
    );

  it('loads, starts and asks a model of the package on a network without a way out, and counts what tried to leave', async () => {
    mkdirSync(join(work, 'checkout'));
    for (const name of [
      'dist',
      'package.json',
      'package-lock.json',
      'versions.env',
      'Makefile',
      'cortex',
      'scripts',
      'deploy',
      'node_modules',
    ])
      cpSync(join(repository, name), join(work, 'checkout', name), { recursive: true });
    mkdirSync(join(work, 'tiny'));
    await writeTinyModel(join(work, 'tiny/tiny.gguf'));
    expect(await cortex('prepare', '--output', 'package', '--model', 'tiny')).toMatchObject({ code: 0 });
    const { code, output } = await cortex('rehearse', '--image-dir', 'package', '--work-dir', work);
    expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining('✓ Ask the model tiny') });
    expect(output).toMatch(/✓ Packets that tried to leave\s+0/);
    expect(readFileSync(join(work, 'checkout/.cortex/package/receipts.jsonl'), 'utf8')).toContain('"rehearse"');
  });

  it('names the image that is missing before the drive leaves', async () => {
    rmSync(join(work, 'package/postgres-16.tar'));
    const { code, output } = await cortex('rehearse', '--image-dir', 'package', '--work-dir', work);
    expect(code).toBe(7);
    expect(output).toContain('✗ Load the package');
    expect(output).toContain('postgres-16.tar');
  });
});
