import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Measured {
  readonly seconds: number;
  /** Peak resident memory of the first process, in bytes. */
  readonly peakBytes: number;
  /** Bytes that it sent to the disk. */
  readonly writtenBytes: number;
  readonly output: string;
}

/** Runs a command to its end and tells what it took. @throws Error with what it printed, where it fails */
export async function measure(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  cwd?: string,
): Promise<Measured> {
  const started = process.hrtime.bigint();
  const child = spawn(command, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
  const seen = { peakBytes: 0, writtenBytes: 0 };
  const timer = setInterval(() => look(child, seen), 20);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  clearInterval(timer);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}: ${output.slice(-2000)}`);
  return { seconds: Number(process.hrtime.bigint() - started) / 1e9, ...seen, output };
}

function look({ pid }: ChildProcess, seen: { peakBytes: number; writtenBytes: number }): void {
  try {
    const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    const written = /^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1];
    seen.peakBytes = Math.max(seen.peakBytes, Number(peak ?? 0) * 1024);
    seen.writtenBytes = Math.max(seen.writtenBytes, Number(written ?? 0));
  } catch {
    // It has just ended.
  }
}

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
};
