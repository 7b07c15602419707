import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { registryCredentials } from './registry-auth.ts';

const dir = mkdtempSync(join(tmpdir(), 'cortex-auth-'));
const path = process.env.PATH;
afterEach(() => {
  process.env.PATH = path;
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function config(value: unknown): string {
  const file = join(dir, 'config.json');
  writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value));
  return file;
}

describe('the credentials of a registry', () => {
  it('are the ones that docker login keeps, under the name that it uses', async () => {
    const file = config({
      auths: { 'https://index.docker.io/v1/': { auth: 'aHVi' }, 'ghcr.io': { auth: 'Z2hjcg==' } },
    });
    expect(await registryCredentials('docker.io', file)).toBe('aHVi');
    expect(await registryCredentials('ghcr.io', file)).toBe('Z2hjcg==');
    expect(await registryCredentials('quay.io', file)).toBeNull();
  });

  it('are asked of the credential helper that is named', async () => {
    const answer = '{"ServerURL":"x","Username":"me","Secret":"s3cret"}';
    writeFileSync(
      join(dir, 'docker-credential-test'),
      `#!/bin/sh\nread server\n[ "$1 $server" = "get ghcr.io" ] && printf '%s' '${answer}'\n`,
      { mode: 0o755 },
    );
    process.env.PATH = `${dir}:${path}`;
    const file = config({ credHelpers: { 'ghcr.io': 'test' } });
    expect(await registryCredentials('ghcr.io', file)).toBe(Buffer.from('me:s3cret').toString('base64'));
    expect(await registryCredentials('quay.io', config({ credsStore: 'test' }))).toBeNull();
  });

  it('are none where the helper or the file is of no use', async () => {
    expect(await registryCredentials('ghcr.io', config({ credsStore: 'not-there' }))).toBeNull();
    expect(await registryCredentials('ghcr.io', config({ credsStore: '../../bin/sh' }))).toBeNull();
    expect(await registryCredentials('ghcr.io', config('no JSON'))).toBeNull();
    expect(await registryCredentials('ghcr.io', join(dir, 'absent.json'))).toBeNull();
  });
});
