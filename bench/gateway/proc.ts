import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

const ticksPerSecond = 100;

/** A process and all that it started: a server may work in several. */
function family(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(family)];
}

/** Processor time that a process and its children have used, user and system. */
export const cpuSeconds = (pid: number): number =>
  family(pid).reduce((total, member) => {
    const text = readFileSync(`/proc/${member}/stat`, 'utf8');
    // The name, in parentheses, may hold blanks.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return total + (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  }, 0);

/** Resident memory of a process and its children. */
export const residentBytes = (pid: number): number =>
  family(pid).reduce((total, member) => {
    const text = readFileSync(`/proc/${member}/status`, 'utf8');
    return total + Number(/VmRSS:\s+(\d+) kB/.exec(text)?.[1] ?? 0) * 1024;
  }, 0);

const settleMs = 500;
const idleShare = 0.04;
const longestSettleMs = 120_000;

/**
 * Waits until a process has done what it put off (usage goes to the database behind the answers), so that it takes nothing
 * from what is measured next. Gives the seconds it took.
 */
export async function settled(pid: number): Promise<number> {
  const startedMs = performance.now();
  for (let before = cpuSeconds(pid); performance.now() - startedMs < longestSettleMs; ) {
    await sleep(settleMs);
    const now = cpuSeconds(pid);
    if (now - before <= (settleMs / 1000) * idleShare) break;
    before = now;
  }
  return (performance.now() - startedMs - settleMs) / 1000;
}

/** `target`: the measured one has the first core for itself, and mock, load and Postgres share the second. `free`: as Linux likes. */
export type Pinning = 'target' | 'free';

const cores = availableParallelism();
const allCores = `0-${cores - 1}`;

/** The core of a process under a pinning. A machine of one core pins nothing. */
export const coreOf = (role: 'target' | 'other', pinning: Pinning): string =>
  pinning === 'free' || cores < 2 ? allCores : role === 'target' ? '0' : '1';

/**
 * How mock and load run, in the words of `chrt`. On a core of their own they come at once, before Postgres and all else that
 * is there (real time): a target that waits for them is not measured. Where they share cores with the target they are as it is.
 */
export const policyOf = (pinning: Pinning): readonly string[] =>
  pinning === 'target' && cores > 1 ? ['--rr', '1'] : ['--other', '0'];

export function schedule(pid: number, policy: readonly string[]): void {
  for (const member of family(pid)) {
    const [kind = '', priority = ''] = policy;
    execFileSync('chrt', [kind, '--all-tasks', '--pid', priority, String(member)], { stdio: 'ignore' });
  }
}

/** Puts a running process, all its threads and children, on cores. */
export function pin(pid: number, coreList: string): void {
  for (const member of family(pid)) execFileSync('taskset', ['-acp', coreList, String(member)], { stdio: 'ignore' });
}
