import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('./engine-process.mjs', import.meta.url));

export interface EngineProcess {
  readonly url: string;
  readonly process: ChildProcess;
  kill(): Promise<void>;
}

/** @param within a program and its arguments that starts another one, such as nsenter */
export async function startEngineProcess(address: string, within: readonly string[] = []): Promise<EngineProcess> {
  const [program = process.execPath, ...rest] = [...within, process.execPath, script, address];
  const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return {
    url: line.toString().trim(),
    process: child,
    kill: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}
