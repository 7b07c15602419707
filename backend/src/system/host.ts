import { statfs } from 'node:fs/promises';
import { cpus, freemem, hostname, totalmem } from 'node:os';
import type { SystemSummary } from '../../../contract/system.ts';

interface CpuTimes {
  readonly busy: number;
  readonly total: number;
}

function cpuTimes(): CpuTimes {
  let busy = 0;
  let total = 0;
  for (const { times } of cpus()) {
    const all = times.user + times.nice + times.sys + times.idle + times.irq;
    total += all;
    busy += all - times.idle;
  }
  return { busy, total };
}

/** Readings of the machine. CPU use is the mean since the reading before, at least one second ago. */
export class HostReadings {
  #before: CpuTimes = { busy: 0, total: 0 };
  #beforeAtMs = 0;
  #percent = 0;

  async read(modelsDir: string): Promise<SystemSummary['host']> {
    this.#readCpu();
    const disk = await statfs(modelsDir).catch(() => null);
    const total = totalmem();
    return {
      hostname: hostname(),
      cpus: cpus().length,
      cpu_percent: this.#percent,
      memory_total_bytes: total,
      memory_used_bytes: total - freemem(),
      disk_total_bytes: disk ? disk.blocks * disk.bsize : null,
      disk_free_bytes: disk ? disk.bavail * disk.bsize : null,
    };
  }

  #readCpu(): void {
    if (Date.now() - this.#beforeAtMs < 1000) return;
    const now = cpuTimes();
    const total = now.total - this.#before.total;
    if (total > 0) this.#percent = Math.round(((now.busy - this.#before.busy) / total) * 1000) / 10;
    this.#before = now;
    this.#beforeAtMs = Date.now();
  }
}
