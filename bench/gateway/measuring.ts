import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { type Job, type Outcome, openedLine, outcome } from './job.ts';
import { coreOf, cpuSeconds, type Pinning, pin, policyOf, schedule, settled } from './proc.ts';
import type { Places, Target } from './targets.ts';

/** A job but for what its target says. */
type Wanted<J = Job> = J extends Job ? Omit<J, 'port' | 'headers'> : never;

export interface Measured extends Outcome {
  /** What the target used for it, with what it put off until after the answers. */
  readonly cpuSeconds: number;
  /** How long it went on after the last answer. */
  readonly settleSeconds: number;
}

export interface Bench {
  readonly places: Places;
  readonly mock: Target;
  /** Of the Postgres server; null is the embedded database. */
  readonly postgresPid: number | null;
  readonly say: (text: string) => void;
}

const counts = z.record(z.string(), z.number());

async function cameThrough({ mock }: Bench, { key }: Target): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${mock.port}/counts`);
  return counts.parse(await answer.json())[key] ?? 0;
}

/**
 * Runs one job against one target.
 * @param onOpened called once all streams are open
 * @throws Error on any wrong answer, and where the mock did not see each answered request come through the target
 */
export async function runJob(
  bench: Bench,
  target: Target,
  wanted: Wanted,
  pinning: Pinning = 'free',
  onOpened: () => void = () => undefined,
): Promise<Measured> {
  pin(target.pid, coreOf('target', pinning));
  // Last, so that a job against the mock itself leaves it where it belongs.
  pin(bench.mock.pid, coreOf('other', pinning));
  schedule(bench.mock.pid, policyOf(pinning));
  if (bench.postgresPid !== null) pin(bench.postgresPid, coreOf('other', pinning));
  const before = { came: await cameThrough(bench, target), cpu: cpuSeconds(target.pid) };
  const job = { ...wanted, port: target.port, headers: target.headers };
  const found = await load(bench.places, job, pinning, onOpened);
  const settleSeconds = await settled(target.pid);
  const came = (await cameThrough(bench, target)) - before.came;
  if (found.failures > 0) throw new Error(`${target.name}: ${found.failures} failures: ${found.examples.join('; ')}`);
  const due = wanted.kind === 'flood' ? 0 : found.answered;
  if (came !== due) throw new Error(`${target.name}: ${due} requests were answered, ${came} came through it`);
  return { ...found, cpuSeconds: cpuSeconds(target.pid) - before.cpu, settleSeconds };
}

async function load({ scripts }: Places, job: Job, pinning: Pinning, onOpened: () => void): Promise<Outcome> {
  const program = [process.execPath, join(scripts, 'load.js'), JSON.stringify(job)];
  const command = ['-c', coreOf('other', pinning), 'chrt', ...policyOf(pinning), ...program];
  const child = spawn('taskset', command, { stdio: ['ignore', 'pipe', 'inherit'] });
  let last = '';
  const lines = createInterface(child.stdout);
  lines.on('line', (line) => {
    if (line === openedLine) onOpened();
    else last = line;
  });
  const read = new Promise((resolve) => lines.once('close', resolve));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  await read;
  if (code !== 0) throw new Error(`the load ended with ${code}`);
  return outcome.parse(JSON.parse(last));
}
