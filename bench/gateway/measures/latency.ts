import type { Row } from '../../table.ts';
import { startCortex } from '../cortex.ts';
import { type Effort, inTurn } from '../effort.ts';
import { type Bench, runJob } from '../measuring.ts';
import { addedRow, Figures } from '../rows.ts';
import type { Target } from '../targets.ts';

/** What Cortex adds to one request at a time. */
export async function measureLatency(bench: Bench, effort: Effort): Promise<Row[]> {
  const figures = new Figures();
  const cortex = await startCortex(bench.places, bench.mock);
  const run = async (target: Target): Promise<void> => {
    const { exact, marker } = target;
    const { latency } = await runJob(bench, target, {
      kind: 'json',
      lanes: 1,
      warmSeconds: 1.5,
      seconds: effort.seconds,
      exact,
      marker,
    });
    for (const share of ['p50', 'p99'] as const) figures.add(`${target.name} ${share}`, latency[share]);
    bench.say(`  ${target.name}: p50 ${latency.p50.toFixed(3)} ms, p99 ${latency.p99.toFixed(3)} ms`);
  };
  try {
    await inTurn(
      effort.rounds,
      [cortex, bench.mock].map((target) => () => run(target)),
    );
  } finally {
    await cortex.stop();
  }
  const row = (share: 'p50' | 'p99', goal: number) =>
    addedRow(
      `latency added at 1 connection, ${share}`,
      figures.middle(`Cortex ${share}`),
      figures.middle(`direct ${share}`),
      'direct',
      goal,
    );
  return [row('p50', 0.5), row('p99', 2)];
}
