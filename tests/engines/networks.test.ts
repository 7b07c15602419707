import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { diagnoseRefusal } from '../../backend/src/engines/diagnosis/diagnose.ts';
import { CortexError } from '../../contract/errors.ts';
import { DockerEngine } from '../../docker/engine.ts';
import { type Engine, startEngine } from '../ground/engine.ts';

const run = promisify(execFile);

describe.each([
  ['20.10', 'bookworm'],
  ['26.1', 'trixie'],
] as const)('a Docker %s that has addresses for one network', (_version, version) => {
  let engine: Engine;
  let docker: DockerEngine;
  const cli = (...args: string[]) => run('docker', ['--host', engine.host, ...args]);
  const ensure = () => docker.ensureNetwork('engines', { internal: true }).catch((error: unknown) => error);

  beforeAll(async () => {
    const settings = { 'default-address-pools': [{ base: '10.214.0.0/28', size: 28 }] };
    engine = await startEngine({ name: `pool-${version}`, version, store: 'overlay2', settings });
    docker = new DockerEngine({ host: engine.host });
  });
  afterAll(async () => {
    await docker?.close();
    await engine?.stop();
  });

  it('makes the network of the engines once, and tells what is wrong where somebody else has the addresses', async () => {
    await cli('network', 'create', 'of-others');
    const refused = await ensure();
    expect(refused).toBeInstanceOf(CortexError);
    const { code, message } = refused as CortexError;
    expect(code).toBe('docker_failed');
    expect(diagnoseRefusal(message)?.words).toMatchObject({
      reason: 'Docker has no addresses left for one more network',
      hint: expect.stringContaining('docker network prune'),
    });

    await cli('network', 'rm', 'of-others');
    expect(await ensure()).toBeUndefined();
    expect(await ensure()).toBeUndefined();
    expect((await cli('network', 'ls', '--format', '{{.Name}}')).stdout).toContain('engines');
  });

  it('tells that a container could not be started because its network is gone', async () => {
    await run('bash', ['-c', 'set -o pipefail; docker save redis:7 | docker --host "$0" load', engine.host]);
    expect(await ensure()).toBeUndefined();
    const id = await docker.containers.create('lost', { Image: 'redis:7', HostConfig: { NetworkMode: 'engines' } });
    await docker.removeNetwork('engines');
    await expect(docker.containers.start(id)).rejects.toThrow(/network engines not found/);
    await docker.containers.remove(id, { force: true });
    await expect(docker.containers.start(id)).rejects.toThrow(/No such container/i);
  });
});
