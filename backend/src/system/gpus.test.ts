import { spawn } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../../tests/free-port.ts';
import { GpuReadings, parseDcgm, parseSmi } from './gpus.ts';

const MiB = 1024 ** 2;
const standIn = fileURLToPath(new URL('../../../tests/images/exporters/metrics.mjs', import.meta.url));

/** As dcgm-exporter 3.1.8 writes it, of two GPUs; the first carries labels of a newer one. */
const page = [
  '# HELP DCGM_FI_DEV_FB_FREE Framebuffer memory free (in MiB).',
  '# TYPE DCGM_FI_DEV_FB_FREE gauge',
  'DCGM_FI_DEV_FB_FREE{gpu="1",UUID="GPU-b",device="nvidia1",modelName="NVIDIA L4",Hostname="a"} 22000',
  'DCGM_FI_DEV_FB_FREE{gpu="0",UUID="GPU-a",pci_bus_id="00000000:00:1B.0",device="nvidia0",modelName="Tesla \\"T4\\"",Hostname="a",DCGM_FI_DRIVER_VERSION="535.183.06"} 12000',
  'DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-a",device="nvidia0",modelName="Tesla T4",Hostname="a"} 3000',
  'DCGM_FI_DEV_FB_USED{gpu="1",UUID="GPU-b",device="nvidia1",modelName="NVIDIA L4",Hostname="a"} 500',
  'DCGM_FI_DEV_FB_RESERVED{gpu="1",UUID="GPU-b",device="nvidia1",modelName="NVIDIA L4",Hostname="a"} 534',
  'DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-a",device="nvidia0",modelName="Tesla T4",Hostname="a"} 41',
  'DCGM_FI_DEV_FB_FREE{gpu="2",UUID="GPU-c",device="nvidia2",modelName="A100",GPU_I_PROFILE="1g.5gb",GPU_I_ID="7",Hostname="a"} 4800',
  'DCGM_FI_DEV_FB_USED{gpu="2",UUID="GPU-c",device="nvidia2",modelName="A100",GPU_I_PROFILE="1g.5gb",GPU_I_ID="7",Hostname="a"} 1',
  'DCGM_FI_DEV_FB_USED{gpu="3",UUID="GPU-d",device="nvidia3",modelName="A100",Hostname="a"} nan',
].join('\n');

describe("DCGM's page", () => {
  it('tells each GPU by its index, without slices and without cards that do not tell', () => {
    expect(parseDcgm(page)).toEqual([
      expect.objectContaining({ uuid: 'GPU-a', index: 0, driver_version: '535.183.06', utilization_percent: 41 }),
      {
        index: 1,
        uuid: 'GPU-b',
        name: 'NVIDIA L4',
        total_bytes: 23_034 * MiB,
        used_bytes: 500 * MiB,
        free_bytes: 22_000 * MiB,
        driver_version: null,
        utilization_percent: null,
      },
    ]);
  });

  it('of something else tells none', () => {
    expect(parseDcgm('<html>DCGM_FI_DEV_FB_FREE{UUID="a"} 1</html>')).toEqual([]);
  });
});

const smiLines =
  '0, GPU-a, NVIDIA A100-SXM4-80GB, 81920, 1024, 80896, 535.183.06, 12\n1, GPU-b, NVIDIA L4, 23034, 0, 23034, 550.54, [N/A]\n\n';

describe("nvidia-smi's lines", () => {
  it('tell each GPU', () => {
    expect(parseSmi(smiLines)).toEqual([
      {
        index: 0,
        uuid: 'GPU-a',
        name: 'NVIDIA A100-SXM4-80GB',
        total_bytes: 81_920 * MiB,
        used_bytes: 1024 * MiB,
        free_bytes: 80_896 * MiB,
        driver_version: '535.183.06',
        utilization_percent: 12,
      },
      expect.objectContaining({ uuid: 'GPU-b', utilization_percent: null }),
    ]);
    expect(parseSmi('No devices were found\n0, GPU-a, x, [N/A], 1, 1, 1, 1\n0, all, x, 1, 1, 1, 1, 1\n')).toEqual([]);
  });
});

describe('an inventory', () => {
  let dir = '';
  let command = '';
  let server: Server;
  let dcgmUrl = '';
  let body = page;
  const nvidia = () => Promise.resolve(['runc', 'nvidia']);

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cortex-gpus-'));
    command = join(dir, 'nvidia-smi');
    await writeFile(
      command,
      `#!/bin/sh\ncase "$*" in *--query-gpu=index,uuid*) printf '${smiLines}';; *) exit 9;; esac\n`,
    );
    await chmod(command, 0o755);
    server = createServer((_request, response) => response.end(body)).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    dcgmUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`;
  });
  afterAll(async () => {
    await new Promise((resolve) => server.close(resolve));
    await rm(dir, { recursive: true, force: true });
  });

  it("comes from DCGM's exporter where it answers", async () => {
    const read = await new GpuReadings({ dcgmUrl, command, runtimes: nvidia }).read();
    expect(read).toMatchObject({ source: 'dcgm', usable: true, gpus: [{ uuid: 'GPU-a' }, { uuid: 'GPU-b' }] });
  });

  it('is read of the stand-in that tests run for the exporter', async () => {
    const port = await freePort();
    const exporter = spawn(process.execPath, [standIn, 'dcgm', String(port)], { stdio: 'ignore' });
    const url = `http://127.0.0.1:${port}/metrics`;
    try {
      await expect
        .poll(async () => (await new GpuReadings({ dcgmUrl: url, command: 'none', runtimes: nvidia }).read()).gpus, {
          timeout: 10_000,
        })
        .toMatchObject([{ name: 'Stand-in GPU', free_bytes: 38_912 * MiB, total_bytes: 40_960 * MiB }]);
    } finally {
      exporter.kill();
    }
  });

  it('comes from nvidia-smi where the exporter is not there or tells none', async () => {
    const absent = new GpuReadings({ dcgmUrl: 'http://127.0.0.1:1/metrics', command, runtimes: nvidia });
    expect(await absent.read()).toMatchObject({ source: 'nvidia-smi', gpus: [{}, {}] });
    body = '';
    const empty = new GpuReadings({ dcgmUrl, command, runtimes: () => Promise.resolve(['runc']) });
    expect(await empty.read()).toMatchObject({ source: 'nvidia-smi', usable: false });
    body = page;
  });

  it("is known by Docker's runtime alone where nothing counts GPUs", async () => {
    const read = await new GpuReadings({ dcgmUrl: '', command: 'no-such-nvidia-smi', runtimes: nvidia }).read();
    expect(read).toEqual({ source: 'docker', usable: true, gpus: [] });
  });

  it('is empty where there is nothing, which is normal', async () => {
    const runtimes = () => Promise.reject(new Error('no Engine'));
    const read = await new GpuReadings({ dcgmUrl: '', command: 'no-such-nvidia-smi', runtimes }).read();
    expect(read).toEqual({ source: 'none', usable: null, gpus: [] });
  });
});
