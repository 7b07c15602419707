import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface IsolatedNamespace {
  name: string;
  exec(
    program: string,
    args: string[],
    options?: { cwd?: string; env?: NodeJS.ProcessEnv },
  ): Promise<{ stdout: string; stderr: string }>;
  spawn(program: string, args: string[], options?: { cwd?: string; env?: NodeJS.ProcessEnv }): ChildProcess;
  /** How many packets tried to leave the machine, by the kernel's counter of the way out. */
  escapedPackets(): Promise<number>;
  /** What those packets were, one line each, as tcpdump tells it. */
  capturedPackets(): Promise<string>;
  destroy(): Promise<void>;
}

/** A network namespace whose only way out leads nowhere, and counts and captures whatever takes it. Needs root. */
export async function createIsolatedNamespace(name: string): Promise<IsolatedNamespace> {
  const dir = await mkdtemp(join(tmpdir(), 'cortex-netns-'));
  const capture = join(dir, 'gap0.pcap');
  const enter = `--net=/var/run/netns/${name}`;
  const inside = (...args: string[]) => run('nsenter', [enter, ...args]);
  const pit = `${name}-gap`;
  try {
    await run('ip', ['netns', 'add', name]);
    await run('ip', ['netns', 'add', pit]);
    await inside('ip', 'link', 'set', 'lo', 'up');
    // Not every kernel has dummy interfaces: a veth pair into an empty namespace leads nowhere just as well.
    await run('ip', ['link', 'add', 'gap0', 'netns', name, 'type', 'veth', 'peer', 'name', 'gap1', 'netns', pit]);
    // The kernel's own router solicitations are not ours and must not count.
    await inside('sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/gap0/disable_ipv6');
    await run('nsenter', [
      `--net=/var/run/netns/${pit}`,
      'sh',
      '-c',
      'echo 1 > /proc/sys/net/ipv6/conf/gap1/disable_ipv6',
    ]);
    await run('ip', ['-n', pit, 'link', 'set', 'gap1', 'up']);
    await inside('ip', 'address', 'add', '192.0.2.2/24', 'dev', 'gap0');
    await inside('ip', 'link', 'set', 'gap0', 'up');
    await inside('ip', 'route', 'add', 'default', 'via', '192.0.2.1');
    // Nobody answers ARP out there: without a neighbour only the ARP requests would count, not what wanted out.
    await inside('ip', 'neighbour', 'add', '192.0.2.1', 'lladdr', '02:00:00:00:00:01', 'dev', 'gap0');
  } catch (error) {
    for (const made of [name, pit]) await run('ip', ['netns', 'delete', made]).catch(() => undefined);
    await rm(dir, { recursive: true, force: true });
    throw error;
  }
  const tcpdump = spawn('nsenter', [enter, 'tcpdump', '-i', 'gap0', '-n', '-U', '-Z', 'root', '-w', capture], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = new Promise<void>((resolve) => tcpdump.once('exit', () => resolve()));
  await Promise.race([new Promise<void>((resolve) => tcpdump.stderr.once('data', () => resolve())), exited]);

  return {
    name,
    exec: (program, args, options = {}) =>
      run('nsenter', [enter, program, ...args], { ...options, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 }),
    spawn: (program, args, options = {}) =>
      spawn('nsenter', [enter, program, ...args], { ...options, stdio: ['ignore', 'pipe', 'pipe'] }),
    async escapedPackets() {
      const { stdout } = await inside('ip', '-s', '-j', 'link', 'show', 'gap0');
      const found = /"tx":\{[^}]*"packets":(\d+)/.exec(stdout);
      if (found?.[1] === undefined) throw new Error(`no transmit counter of gap0 in ${name}: ${stdout}`);
      return Number(found[1]);
    },
    async capturedPackets() {
      const { stdout } = await run('tcpdump', ['-n', '-r', capture]);
      return stdout;
    },
    async destroy() {
      tcpdump.kill('SIGTERM');
      await exited;
      for (const made of [name, pit]) await run('ip', ['netns', 'delete', made]);
      await rm(dir, { recursive: true, force: true });
    },
  };
}
