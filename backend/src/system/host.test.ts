import { describe, expect, it } from 'vitest';
import { HostReadings } from './host.ts';

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
