import { execFile, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { CortexError } from '../contract/errors.ts';

const run = promisify(execFile);
const startTimeoutMs = 60_000;

/** A machine without a way out: a network namespace with an empty Docker Engine in it. */
export interface RehearsalGround {
  readonly dockerHost: string;
  readonly dir: string;
  /** Runs a command inside; what it prints, and its exit code. */
  exec(
    command: readonly string[],
    options: { cwd: string; env?: NodeJS.ProcessEnv },
  ): Promise<{ code: number; output: string }>;
  /** Packets that tried to leave, by the kernel's counter of the only way out. */
  escapedPackets(): Promise<number>;
  close(): Promise<void>;
}

/** Needs root, `ip`, `nsenter` and `dockerd`. @throws CortexError program_missing */
export async function openRehearsalGround(workDir: string): Promise<RehearsalGround> {
  if (process.getuid?.() !== 0)
    throw new CortexError('program_missing', {
      program: 'sudo',
      reason: 'a rehearsal makes a network of its own and has to be run as root',
    });
  for (const [program, debianName] of [
    ['ip', 'iproute2'],
    ['nsenter', 'util-linux'],
    ['dockerd', 'docker.io'],
  ] as const)
    await run('sh', ['-c', `command -v ${program}`]).catch((cause: unknown) => {
      throw new CortexError(
        'program_missing',
        { program: debianName, reason: `${program} is not on this machine` },
        { cause },
      );
    });
  const dir = await mkdtemp(join(workDir, 'cortex-rehearsal-'));
  // A socket's path may have 107 bytes: it lives under /run.
  const runDir = await mkdtemp('/run/cortex-rehearsal-');
  const name = `cxr${process.pid}`;
  const pit = `${name}x`;
  const undo: (() => Promise<unknown>)[] = [
    () => rm(dir, { recursive: true, force: true }),
    () => rm(runDir, { recursive: true, force: true }),
  ];
  const close = async () => {
    for (const step of undo.reverse()) await step().catch(() => undefined);
  };
  try {
    for (const made of [name, pit]) {
      await run('ip', ['netns', 'add', made]);
      undo.push(() => run('ip', ['netns', 'delete', made]));
    }
    await giveGap(name, pit);
    const dockerHost = `unix://${runDir}/docker.sock`;
    undo.push(await startEngine(name, dir, runDir, dockerHost));
    return {
      dockerHost,
      dir,
      exec: (command, { cwd, env }) =>
        execInside(name, command, cwd, { ...process.env, ...env, DOCKER_HOST: dockerHost }),
      escapedPackets: () => escaped(name),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The only way out leads into an empty namespace, and counts what takes it. */
async function giveGap(name: string, pit: string): Promise<void> {
  const ip = (...args: string[]) => run('ip', ['-n', name, ...args]);
  await ip('link', 'set', 'lo', 'up');
  await run('ip', ['link', 'add', 'gap0', 'netns', name, 'type', 'veth', 'peer', 'name', 'gap1', 'netns', pit]);
  for (const [space, device] of [
    [name, 'gap0'],
    [pit, 'gap1'],
  ])
    await run('nsenter', [
      `--net=/var/run/netns/${space}`,
      'sh',
      '-c',
      `echo 1 > /proc/sys/net/ipv6/conf/${device}/disable_ipv6`,
    ]);
  await run('ip', ['-n', pit, 'link', 'set', 'gap1', 'up']);
  await ip('address', 'add', '192.0.2.2/24', 'dev', 'gap0');
  await ip('link', 'set', 'gap0', 'up');
  await ip('route', 'add', 'default', 'via', '192.0.2.1');
  // Nobody answers ARP out there; with a fixed neighbour what wants out is sent, and counted.
  await ip('neighbour', 'add', '192.0.2.1', 'lladdr', '02:00:00:00:00:01', 'dev', 'gap0');
}

async function escaped(name: string): Promise<number> {
  const { stdout } = await run('ip', ['-n', name, '-s', '-j', 'link', 'show', 'gap0']);
  return Number(/"tx":\{[^}]*"packets":(\d+)/.exec(stdout)?.[1] ?? Number.NaN);
}

/** An Engine with folders of its own. @returns how to end it */
async function startEngine(
  name: string,
  dir: string,
  runDir: string,
  dockerHost: string,
): Promise<() => Promise<unknown>> {
  await writeFile(join(dir, 'daemon.json'), '{}');
  const logFile = join(dir, 'dockerd.log');
  const log = openSync(logFile, 'a');
  const args = [
    '--config-file',
    join(dir, 'daemon.json'),
    '--data-root',
    join(dir, 'data'),
    '--exec-root',
    join(runDir, 'exec'),
  ];
  // nsenter, not ip netns exec: that one hides the cgroup mounts, and dockerd stops.
  const engine = spawn(
    'nsenter',
    [
      `--net=/var/run/netns/${name}`,
      'dockerd',
      ...args,
      '--pidfile',
      join(runDir, 'pid'),
      '--host',
      dockerHost,
      '--log-level',
      'warn',
    ],
    {
      stdio: ['ignore', log, log],
      detached: true,
    },
  );
  closeSync(log);
  const gone = new Promise<void>((resolve) => engine.once('exit', () => resolve()));
  const docker = (...words: string[]) => run('docker', ['--host', dockerHost, ...words]);
  const stop = async () => {
    const listed = await docker('ps', '--all', '--quiet').catch(() => ({ stdout: '' }));
    const ids = listed.stdout.split('\n').filter((id) => id !== '');
    if (ids.length > 0) await docker('rm', '--force', ...ids).catch(() => undefined);
    engine.kill('SIGTERM');
    await Promise.race([gone, sleep(20_000, undefined, { ref: false })]);
    const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' ')[1] ?? '');
    for (const mount of mounts.reverse())
      if (mount.startsWith(`${dir}/`) || mount.startsWith(`${runDir}/`))
        await run('umount', ['-l', mount]).catch(() => undefined);
  };
  for (
    const deadline = Date.now() + startTimeoutMs;
    Date.now() < deadline && engine.exitCode === null;
    await sleep(200)
  )
    if (
      await docker('version').then(
        () => true,
        () => false,
      )
    )
      return stop;
  await stop();
  const reason = (await readFile(logFile, 'utf8').catch(() => '')).trim().slice(-500);
  throw new CortexError('program_missing', {
    program: 'docker.io',
    reason: `an Engine of the rehearsal's own did not start: ${reason}`,
  });
}

function execInside(
  name: string,
  command: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv,
): Promise<{ code: number; output: string }> {
  const child = spawn('nsenter', [`--net=/var/run/netns/${name}`, ...command], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 1, output }));
  });
}
