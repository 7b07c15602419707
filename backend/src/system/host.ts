import { execFile } from 'node:child_process';
import { statfs } from 'node:fs/promises';
import { cpus, freemem, hostname, totalmem } from 'node:os';
import { promisify } from 'node:util';
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

const run = promisify(execFile);

/** NVIDIA's GPUs by nvidia-smi; none where it is not installed, which is normal. */
export async function readGpus(command = 'nvidia-smi'): Promise<SystemSummary['gpus']> {
  try {
    const { stdout } = await run(command, ['--query-gpu=index,name,memory.total', '--format=csv,noheader,nounits'], {
      timeout: 5_000,
    });
    return parseGpus(stdout);
  } catch {
    return [];
  }
}

/** Reads nvidia-smi's lines `0, NVIDIA A100, 81920` (memory in MiB); leaves out what is not one. */
export function parseGpus(text: string): SystemSummary['gpus'] {
  return text.split('\n').flatMap((line) => {
    const [index, name, memoryMib] = line.split(',').map((field) => field.trim());
    if (!index || !name || !memoryMib || !/^\d+$/.test(index) || !/^\d+$/.test(memoryMib)) return [];
    return [{ index: Number(index), name, memory_total_bytes: Number(memoryMib) * 1024 * 1024 }];
  });
}
