import { describe, expect, it } from 'vitest';
import { HostReadings, parseGpus, readGpus } from './host.ts';

describe('readings of the machine', () => {
  it('are those of this machine', async () => {
    const host = await new HostReadings().read('/');
    expect(host.cpus).toBeGreaterThan(0);
    expect(host.memory_used_bytes).toBeLessThan(host.memory_total_bytes);
    expect(host.disk_free_bytes).toBeGreaterThan(0);
    expect(host.cpu_percent).toBeGreaterThanOrEqual(0);
  });

  it('have no disk where the folder is not there', async () => {
    expect(await new HostReadings().read('/nowhere')).toMatchObject({ disk_total_bytes: null, disk_free_bytes: null });
  });
});

describe('GPUs', () => {
  it("are read from nvidia-smi's lines", () => {
    expect(parseGpus('0, NVIDIA A100-SXM4-80GB, 81920\n1, NVIDIA L4, 23034\n\n')).toEqual([
      { index: 0, name: 'NVIDIA A100-SXM4-80GB', memory_total_bytes: 81920 * 1024 * 1024 },
      { index: 1, name: 'NVIDIA L4', memory_total_bytes: 23034 * 1024 * 1024 },
    ]);
    expect(parseGpus('No devices were found\n')).toEqual([]);
  });

  it('are none where nvidia-smi is not installed', async () => {
    expect(await readGpus('no-such-nvidia-smi')).toEqual([]);
  });
});
