import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Outcome {
  code: number;
  output: string;
}

/** What the inside host has besides coreutils. No Node, npm, Python, jq, curl, git, grep, sed or awk. */
const programs = ['/usr/bin/docker', '/usr/bin/make', '/bin/sh'];

/** Fills a folder with links to the only programs that an inside host has, and returns it as its PATH. */
export function makeInsidePath(dir: string): string {
  mkdirSync(dir, { recursive: true });
  const coreutils = execFileSync('dpkg', ['-L', 'coreutils'], { encoding: 'utf8' })
    .split('\n')
    .filter((path) => /\/s?bin\/./.test(path));
  for (const path of [...coreutils, ...programs]) symlinkSync(path, join(dir, basename(path)));
  return dir;
}

/** The air-gapped machine: a network namespace without a way out, a second Docker Engine, and a PATH with next to nothing in it. */
export class InsideHost {
  readonly #namespace: string;
  readonly #env: Record<string, string>;
  readonly #children: ChildProcess[] = [];
  readonly #servers: Server[] = [];
  cwd = '/';

  constructor(namespace: string, env: { PATH: string; HOME: string; DOCKER_HOST: string }) {
    this.#namespace = namespace;
    this.#env = env;
  }

  /** Types a command line into the inside host's shell and waits for it. Standard output and error come together. */
  type(commandLine: string, env: Record<string, string> = {}): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const child = spawn(
        '/usr/bin/nsenter',
        [`--net=/var/run/netns/${this.#namespace}`, '/bin/sh', '-c', commandLine],
        {
          cwd: this.cwd,
          env: { ...this.#env, ...env },
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      );
      let output = '';
      child.stdout.on('data', (data: Buffer) => {
        output += data.toString();
      });
      child.stderr.on('data', (data: Buffer) => {
        output += data.toString();
      });
      child.on('error', reject);
      child.on('close', (code) => resolve({ code: code ?? 1, output }));
    });
  }

  /** Opens a port of the inside host on our loopback, as a colleague's browser on the inside network would reach it. */
  async reach(port: number, workDir: string): Promise<number> {
    const socketPath = join(workDir, `port-${port}.sock`);
    const script = fileURLToPath(new URL('../ground/forward.mjs', import.meta.url));
    const child = spawn(
      'nsenter',
      [`--net=/var/run/netns/${this.#namespace}`, process.execPath, script, socketPath, String(port)],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    this.#children.push(child);
    await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
    const server = createServer((client) => {
      const inner = connect(socketPath);
      client.pipe(inner).pipe(client);
      client.on('error', () => inner.destroy());
      inner.on('error', () => client.destroy());
    });
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port was given');
    return address.port;
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const child of this.#children) child.kill('SIGKILL');
  }
}
