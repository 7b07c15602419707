import type { Row } from '../../table.ts';
import { startCortex } from '../cortex.ts';
import { type Effort, inTurn } from '../effort.ts';
import { type Bench, runJob } from '../measuring.ts';
import { addedRow, Figures, lessRow } from '../rows.ts';
import { startBareRelay, type Target } from '../targets.ts';

const perSecond = 50;
const amounts = [
  { streams: 1000, goal: 1 },
  // Where neither side is short of processor, so that no events come together.
  { streams: 100, goal: null },
];

/** Processor time for streams that are the same on both sides. */
export async function measureStreamCpu(bench: Bench, effort: Effort): Promise<Row[]> {
  const figures = new Figures();
  const cortex = await startCortex(bench.places, bench.mock);
  const bare = await startBareRelay(bench.places, bench.mock);
  const run = async (target: Target, streams: number): Promise<void> => {
    const tokens = perSecond * effort.seconds;
    const wanted = {
      kind: 'stream',
      lanes: streams,
      tokens,
      perSecond,
      repeats: 1,
      rampMs: 1000,
      bulky: null,
    } as const;
    const found = await runJob(bench, target, wanted, 'target');
    figures.add(`${target.name} ${streams}`, found.cpuSeconds);
    bench.say(
      `  ${streams} streams, ${target.name}: ${found.cpuSeconds.toFixed(2)} CPU s, gap p50 ${found.gap.p50.toFixed(1)} ms, p99 ${found.gap.p99.toFixed(1)} ms`,
    );
  };
  try {
    const steps = amounts.flatMap(({ streams }) => [cortex, bare].map((target) => () => run(target, streams)));
    await inTurn(effort.rounds, steps);
  } finally {
    await cortex.stop();
    await bare.stop();
  }
  return amounts.map(({ streams, goal }) =>
    lessRow({
      measure: `SSE, ${streams} streams of ${perSecond} events/s for ${effort.seconds} s, processor`,
      unit: 'CPU s',
      ours: figures.middle(`Cortex ${streams}`),
      peer: figures.middle(`bare relay ${streams}`),
      peerName: 'bare relay',
      goal,
    }),
  );
}

/** What Cortex adds to the first token and to the time between events. */
export async function measureStreamTimes(bench: Bench, effort: Effort): Promise<Row[]> {
  const figures = new Figures();
  const cortex = await startCortex(bench.places, bench.mock);
  const run = async (target: Target, counted = true): Promise<void> => {
    const { firstToken, gap } = await runJob(bench, target, {
      kind: 'stream',
      lanes: 100,
      tokens: 20,
      perSecond: 20,
      repeats: effort.seconds,
      rampMs: 1000,
      bulky: null,
    });
    if (!counted) return;
    figures.add(`${target.name} first token`, firstToken.p99);
    figures.add(`${target.name} gap`, gap.p99);
    bench.say(
      `  ${target.name}: first token p50 ${firstToken.p50.toFixed(2)} ms, p99 ${firstToken.p99.toFixed(2)} ms; gap p50 ${gap.p50.toFixed(2)} ms, p99 ${gap.p99.toFixed(2)} ms`,
    );
  };
  try {
    // A process that is new compiles as it answers.
    await run(cortex, false);
    await inTurn(
      effort.rounds,
      [cortex, bench.mock].map((target) => () => run(target)),
    );
  } finally {
    await cortex.stop();
  }
  const row = (measure: string, key: string) =>
    addedRow(measure, figures.middle(`Cortex ${key}`), figures.middle(`direct ${key}`), 'direct', 5);
  return [row('SSE, added to the first token, p99', 'first token'), row('SSE, added between events, p99', 'gap')];
}

const bulk = { bytes: 400_000, everyMs: 500 };

/** How long streams stand still because of somebody else's prompt of 100 000 tokens. */
export async function measureBulkyPrompt(bench: Bench, effort: Effort): Promise<Row[]> {
  const figures = new Figures();
  const cortex = await startCortex(bench.places, bench.mock);
  const run = async (bulky: typeof bulk | null): Promise<void> => {
    const tokens = 20 * effort.seconds;
    const wanted = { kind: 'stream', lanes: 100, tokens, perSecond: 20, repeats: 1, rampMs: 1000, bulky } as const;
    const { gap } = await runJob(bench, cortex, wanted);
    figures.add(bulky === null ? 'without' : 'beside', gap.max);
    bench.say(`  ${bulky === null ? 'without' : 'beside'} a large body: largest gap ${gap.max.toFixed(1)} ms`);
  };
  try {
    // A process that is new compiles as it answers.
    await run(null);
    await inTurn(effort.rounds, [() => run(bulk), () => run(null)]);
  } finally {
    await cortex.stop();
  }
  const measure = 'stall added to 100 streams by bodies of 400 kB';
  return [addedRow(measure, figures.middle('beside'), figures.middle('without'), 'without them', 20)];
}
