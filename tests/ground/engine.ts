import { execFile, spawn } from 'node:child_process';
import { existsSync, openSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ground = process.env.CORTEX_GROUND ?? fileURLToPath(new URL('../../.tests/ground', import.meta.url));
const startTimeoutMs = 60_000;

export interface EngineOptions {
  name: string;
  version: 'bookworm' | 'trixie';
  store: 'overlay2' | 'containerd';
  netns?: string;
  /** More for its daemon.json. */
  settings?: Readonly<Record<string, unknown>>;
}

export interface Engine {
  host: string;
  dir: string;
  /** Ends the daemon alone; what it runs and has stays. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Ends all of it at once, as a machine that loses its power does: what was in memory and under /run is gone. */
  loseEverything(): Promise<void>;
  /** Starts the daemon again after one of these. */
  begin(): Promise<void>;
  stop(): Promise<void>;
}

/** A subnet and a bridge name that no other engine of this machine has. */
async function freeBridge(): Promise<{ name: string; address: string }> {
  const { stdout } = await run('ip', ['-4', '-o', 'address']);
  for (let number = 1; number < 250; number++) {
    const name = `cxg${process.pid % 100_000}n${number}`;
    if (!stdout.includes(` 10.213.${number}.`)) return { name, address: `10.213.${number}.1/24` };
  }
  throw new Error('no free 10.213.x subnet: earlier engines were not stopped (ip -4 address shows their bridges)');
}

/** Starts a private Docker Engine with folders, bridge and containerd of its own. Needs root and tests/ground/install.sh. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  if (options.version === 'bookworm' && options.store === 'containerd') {
    throw new Error('the bookworm engine (20.10) has no containerd image store: ask for version trixie');
  }
  const unpacked = join(ground, 'trixie');
  const binary = options.version === 'trixie' ? join(unpacked, 'usr/sbin/dockerd') : '/usr/sbin/dockerd';
  if (!existsSync(binary)) throw new Error(`${binary} is not there: run bash tests/ground/install.sh`);
  await mkdir(join(ground, 'engines'), { recursive: true });
  const dir = await mkdtemp(join(ground, 'engines', `${options.name}-`));
  // A socket's path may have 107 bytes, and containerd's are deep: what has sockets lives under /run.
  const runDir = await mkdtemp('/run/cxg-');
  const host = `unix://${runDir}/docker.sock`;
  const features = options.store === 'containerd' ? { features: { 'containerd-snapshotter': true } } : {};
  await writeFile(join(dir, 'daemon.json'), JSON.stringify({ ...features, ...options.settings }));
  const args = [
    '--config-file',
    join(dir, 'daemon.json'),
    '--data-root',
    join(dir, 'data'),
    '--exec-root',
    join(runDir, 'exec'),
  ];
  args.push('--pidfile', join(runDir, 'docker.pid'), '--host', host, '--log-level', 'warn');
  let bridge: string | undefined;
  if (options.netns === undefined) {
    const made = await freeBridge();
    bridge = made.name;
    await run('ip', ['link', 'add', made.name, 'type', 'bridge']);
    await run('ip', ['address', 'add', made.address, 'dev', made.name]);
    await run('ip', ['link', 'set', made.name, 'up']);
    args.push('--bridge', made.name);
  }
  const path =
    options.version === 'trixie'
      ? `${unpacked}/usr/bin:${unpacked}/usr/sbin:${process.env.PATH ?? ''}`
      : process.env.PATH;
  const logPath = join(dir, 'dockerd.log');
  const log = openSync(logPath, 'a');
  const command =
    options.netns === undefined
      ? [binary, ...args]
      : ['nsenter', `--net=/var/run/netns/${options.netns}`, binary, ...args];
  const [program = binary, ...rest] = command;
  const launch = () => {
    const daemon = spawn(program, rest, {
      stdio: ['ignore', log, log],
      env: { ...process.env, PATH: path },
      detached: true,
    });
    return { daemon, exited: new Promise<void>((resolve) => daemon.once('exit', () => resolve())) };
  };
  let { daemon: child, exited } = launch();
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    child.kill(signal);
    await Promise.race([exited, sleep(20_000, undefined, { ref: false })]);
    if (isRunning()) child.kill('SIGKILL');
    await exited;
  };

  const stop = async () => {
    if (isRunning()) {
      const listed = await run('docker', ['--host', host, 'ps', '-aq']).catch(() => ({ stdout: '' }));
      const ids = listed.stdout.split('\n').filter((id) => id !== '');
      if (ids.length > 0) await run('docker', ['--host', host, 'rm', '-f', ...ids]).catch(() => undefined);
      // Their bridges would stay, and with them their addresses: some thirty networks later no Engine has any left.
      await run('docker', ['--host', host, 'network', 'prune', '--force']).catch(() => undefined);
      await end('SIGTERM');
    }
    await unmountAll();
    if (bridge !== undefined) await run('ip', ['link', 'delete', bridge]).catch(() => undefined);
    await rm(dir, { recursive: true, force: true });
    await rm(runDir, { recursive: true, force: true });
  };

  const unmountAll = async () => {
    const mounts = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[1] ?? '');
    for (const mount of mounts.reverse()) {
      if (mount.startsWith(`${dir}/`) || mount.startsWith(`${runDir}/`))
        await run('umount', ['-l', mount]).catch(() => undefined);
    }
  };

  const loseEverything = async () => {
    const { stdout: ids } = await run('docker', ['--host', host, 'ps', '-q']);
    const format = ['--format', '{{.State.Pid}}'];
    const running = ids.split('\n').filter((id) => id !== '');
    const { stdout } =
      running.length === 0 ? { stdout: '' } : await run('docker', ['--host', host, 'inspect', ...format, ...running]);
    const engines = (stdout.match(/\d+/g) ?? []).map(Number);
    const shims = engines.map((pid) =>
      Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]),
    );
    const containerd = Number(readFileSync(join(runDir, 'exec/containerd/containerd.pid'), 'utf8'));
    await end('SIGKILL');
    for (const pid of [containerd, ...shims, ...engines]) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It went with another one.
      }
    }
    await sleep(500);
    await unmountAll();
    await rm(join(runDir, 'exec'), { recursive: true, force: true });
    await rm(join(runDir, 'docker.pid'), { force: true });
  };

  const answers = async () => {
    const deadline = Date.now() + startTimeoutMs;
    while (Date.now() < deadline && isRunning()) {
      const ready = await run('docker', ['--host', host, 'version', '--format', '{{.Server.Version}}']).then(
        () => true,
        () => false,
      );
      if (ready) return true;
      await sleep(200);
    }
    return false;
  };
  const begin = async () => {
    ({ daemon: child, exited } = launch());
    if (!(await answers()))
      throw new Error(
        `the engine '${options.name}' did not start again: ${readFileSync(logPath, 'utf8').slice(-2000)}`,
      );
  };
  if (await answers()) return { host, dir, end, loseEverything, begin, stop };
  const reason = readFileSync(logPath, 'utf8').slice(-2000);
  await stop();
  throw new Error(`the ${options.version} engine '${options.name}' did not start: ${reason}`);
}
