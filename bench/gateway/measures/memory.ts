import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { median } from '../../process.ts';
import type { Row } from '../../table.ts';
import { startCortex } from '../cortex.ts';
import type { Effort } from '../effort.ts';
import { type Bench, runJob } from '../measuring.ts';
import { residentBytes, settled } from '../proc.ts';
import { limitRow } from '../rows.ts';
import type { Target } from '../targets.ts';

const streams = 1000;

/** Memory of a Cortex that has just started, of its open streams, and whether it grows under load. */
export async function measureMemory(bench: Bench, effort: Effort): Promise<Row[]> {
  const dataDir = join(bench.places.work, 'memory');
  // The very first start makes the database, and keeps what that took; all later ones are like the second.
  await (await startCortex(bench.places, bench.mock, { dataDir })).stop();
  const cortex = await startCortex(bench.places, bench.mock, { dataDir });
  try {
    await sleep(2000);
    await settled(cortex.pid);
    const idle = residentBytes(cortex.pid);
    const open = await whileOpen(bench, cortex);
    bench.say(`  idle ${(idle / 1e6).toFixed(0)} MB, ${streams} open streams ${(open / 1e6).toFixed(0)} MB`);
    const grown = await growth(bench, cortex, effort.growthSeconds);
    return [
      limitRow('memory at rest', 'MB', idle / 1e6, 150),
      limitRow('memory of an open stream', 'kB', (open - idle) / streams / 1000, 40),
      limitRow(`growth in ${effort.growthSeconds} s of load`, '%', grown * 100, growthGoal),
    ];
  } finally {
    await cortex.stop();
  }
}

/** Resident memory a while after all streams were opened, while they all get events. */
async function whileOpen(bench: Bench, cortex: Target): Promise<number> {
  let look: Promise<number> = Promise.resolve(0);
  const wanted = {
    kind: 'stream',
    lanes: streams,
    tokens: 20,
    perSecond: 2,
    repeats: 1,
    rampMs: 2000,
    bulky: null,
  } as const;
  await runJob(bench, cortex, wanted, 'free', () => {
    look = sleep(4000).then(() => residentBytes(cortex.pid));
  });
  return look;
}

/** In percent; what a garbage collector leaves lying about differs by a few. */
const growthGoal = 5;

/** By what share the middle of the last quarter is above that of the second: the first fills the heap. */
async function growth(bench: Bench, cortex: Target, seconds: number): Promise<number> {
  const seen: number[] = [];
  const timer = setInterval(() => seen.push(residentBytes(cortex.pid)), (seconds * 1000) / 80);
  const { exact, marker } = cortex;
  try {
    await runJob(bench, cortex, { kind: 'json', lanes: 32, warmSeconds: 0, seconds, exact, marker }, 'free');
  } finally {
    clearInterval(timer);
  }
  const [second, last] = [median(seen.slice(20, 40)), median(seen.slice(60, 80))];
  bench.say(`  under load ${(second / 1e6).toFixed(0)} MB, later ${(last / 1e6).toFixed(0)} MB`);
  return last / second - 1;
}
