import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { readCatalog } from '../../offline/catalog.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** The images of the stack with every profile on, as compose itself reads them. */
function composeImages(): string[] {
  const files = ['--env-file', 'versions.env', '--file', 'deploy/compose.yaml'];
  const output = execFileSync('docker', ['compose', ...files, '--profile', '*', 'config', '--images'], {
    cwd: root,
    encoding: 'utf8',
  });
  return output.trim().split('\n').sort();
}

it('compose starts nothing that the package does not hold, and all that the package calls required', () => {
  const catalog = readCatalog({ rootDir: root, env: {} });
  const images = composeImages();
  expect(catalog.map(({ reference }) => reference)).toEqual(expect.arrayContaining(images));
  const required = catalog.filter(({ role }) => role === 'required').map(({ reference }) => reference);
  expect(images).toEqual(expect.arrayContaining(required));
});

it('no service of the stack is built or pulled in offline mode', () => {
  const config: unknown = JSON.parse(
    execFileSync(
      'docker',
      [
        'compose',
        '--env-file',
        'versions.env',
        '--file',
        'deploy/compose.yaml',
        '--profile',
        '*',
        'config',
        '--format',
        'json',
      ],
      { cwd: root, encoding: 'utf8' },
    ),
  );
  const services: Record<string, { pull_policy?: string; build?: unknown }> = Object(config).services;
  expect(Object.keys(services).length).toBeGreaterThan(3);
  for (const [name, service] of Object.entries(services)) {
    expect(service.pull_policy, name).toBe('never');
    expect(service.build, name).toBeUndefined();
  }
});
