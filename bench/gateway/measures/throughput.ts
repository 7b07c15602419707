import type { Row } from '../../table.ts';
import { startCortex } from '../cortex.ts';
import { type Effort, inTurn } from '../effort.ts';
import { type Bench, runJob } from '../measuring.ts';
import type { Pinning } from '../proc.ts';
import { Figures, moreRow } from '../rows.ts';
import { startBareRelay, startNginx, startPortkey, type Target } from '../targets.ts';

const connections = 32;

function loop(bench: Bench, effort: Effort, figures: Figures) {
  return async (kind: 'json' | 'flood', target: Target, pinning: Pinning): Promise<void> => {
    const { exact, marker } = target;
    const wanted = { kind, lanes: connections, warmSeconds: 1.5, seconds: effort.seconds, exact, marker };
    const found = await runJob(bench, target, wanted, pinning);
    const perCpuSecond = found.answered / found.cpuSeconds;
    figures.add(`${kind} ${target.name}`, found.rate);
    figures.add(`${kind} ${target.name} cpu`, perCpuSecond);
    bench.say(
      `  ${kind} ${target.name}: ${found.rate.toFixed(0)}/s, ${perCpuSecond.toFixed(0)} a CPU second, p50 ${found.latency.p50.toFixed(2)} ms, p99 ${found.latency.p99.toFixed(2)} ms, busy ${found.settleSeconds.toFixed(1)} s after it`,
    );
  };
}

/** JSON requests a second against Portkey and a bare relay, each with one core for itself, and a flood of bad keys. */
export async function measureThroughput(bench: Bench, effort: Effort): Promise<Row[]> {
  const figures = new Figures();
  const run = loop(bench, effort, figures);
  const targets = [
    await startCortex(bench.places, bench.mock),
    await startBareRelay(bench.places, bench.mock),
    await startPortkey(bench.places, bench.mock),
  ];
  try {
    const [cortex] = targets;
    await inTurn(effort.rounds, [
      ...targets.map((target) => () => run('json', target, 'target')),
      async () => {
        if (cortex !== undefined) await run('flood', cortex, 'target');
      },
    ]);
  } finally {
    for (const target of targets) await target.stop();
  }
  const ours = figures.middle('json Cortex');
  const against = (peerName: string, goal: number) =>
    moreRow({
      measure: `JSON, ${connections} connections`,
      unit: 'requests/s',
      ours,
      peer: figures.middle(`json ${peerName}`),
      peerName,
      goal,
    });
  return [
    against('Portkey', 12),
    against('bare relay', 1),
    moreRow({
      measure: 'JSON, requests a CPU second',
      unit: 'requests',
      ours: figures.middle('json Cortex cpu'),
      peer: figures.middle('json bare relay cpu'),
      peerName: 'bare relay',
      goal: null,
    }),
    moreRow({
      measure: 'flood of bad keys',
      unit: '401s/s',
      ours: figures.middle('flood Cortex'),
      peer: ours,
      peerName: 'own JSON rate',
      goal: 1,
    }),
  ];
}

const workers = 2;

/** The same against nginx with two workers; nothing is pinned, all share the cores. */
export async function measureWorkers(bench: Bench, effort: Effort): Promise<Row[]> {
  const figures = new Figures();
  const run = loop(bench, effort, figures);
  const cortex = await startCortex(bench.places, bench.mock, { workers });
  const nginx = await startNginx(bench.places, bench.mock, workers);
  try {
    await inTurn(
      effort.rounds,
      [cortex, nginx].map((target) => () => run('json', target, 'free')),
    );
  } finally {
    await cortex.stop();
    await nginx.stop();
  }
  const measure = `JSON, ${connections} connections, GATEWAY_WORKERS=${workers}`;
  const unit = 'requests/s';
  const ours = figures.middle('json Cortex');
  const peer = figures.middle(`json ${nginx.name}`);
  const peerName = nginx.name;
  const perCpuSecond = moreRow({
    measure: 'JSON, requests a CPU second',
    unit: 'requests',
    ours: figures.middle('json Cortex cpu'),
    peer: figures.middle(`json ${nginx.name} cpu`),
    peerName,
    goal: null,
  });
  return [moreRow({ measure, unit, ours, peer, peerName, goal: 0.25 }), perCpuSecond];
}
