import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Child {
  readonly pid: number;
  /** Ends it, by its pid, and waits until it is gone. */
  stop(): Promise<void>;
}

const startMs = 60_000;
const stopMs = 10_000;

function asChild(child: ChildProcess): Child {
  const gone = new Promise((resolve) => child.once('close', resolve));
  return {
    pid: child.pid ?? 0,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      const waited = new AbortController();
      const tooLong = sleep(stopMs, undefined, { signal: waited.signal }).then(
        () => child.kill('SIGKILL'),
        () => undefined,
      );
      await Promise.race([gone, tooLong]);
      waited.abort();
      await gone;
    },
  };
}

/** Starts a process of the bench's own and waits for what it announces. @throws Error where it ends before */
export async function startAnnouncing(
  script: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Child & { readonly said: unknown }> {
  const child = spawn(process.execPath, [script, ...args], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const said = await new Promise<unknown>((resolve, reject) => {
    createInterface(child.stdout).once('line', (line) => resolve(JSON.parse(line)));
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${script} ended with ${code} before it listened`)));
  });
  return { ...asChild(child), said };
}

/** Starts a server of somebody else and waits until its port takes connections. @throws Error where it never does */
export async function startListening(
  command: string,
  args: readonly string[],
  port: number,
  env: NodeJS.ProcessEnv = {},
): Promise<Child> {
  const process_ = spawn(command, args, { env: { ...process.env, ...env }, stdio: 'ignore' });
  process_.once('error', () => undefined);
  const child = asChild(process_);
  for (const until = performance.now() + startMs; performance.now() < until && process_.exitCode === null; ) {
    const answers = await fetch(`http://127.0.0.1:${port}/`).then(
      () => true,
      () => false,
    );
    if (answers) return child;
    await sleep(100);
  }
  await child.stop();
  throw new Error(`${command} did not start to listen`);
}
