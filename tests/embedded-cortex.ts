import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type RouteInput, type RouteName, type RouteResponse, type Routes, routes } from '../contract/routes.ts';
import { writeTinyModel } from './fixtures/tiny-model.ts';
import { freePort } from './free-port.ts';

// Measurements run this file compiled, from below dist/.
const root = import.meta.url.includes('/dist/tests/') ? '../..' : '..';
const entry = fileURLToPath(new URL(`${root}/dist/backend/src/main.js`, import.meta.url));
/** The first opening of the embedded database is work for a whole core; in a gate others want it too. */
const startWithinMs = 90_000;

/** Cortex as `make quick-start` runs it where there is no package: one process on the embedded database. */
export class EmbeddedCortex {
  readonly dir = mkdtempSync(join(tmpdir(), 'cortex-embedded-'));
  readonly models = join(this.dir, 'models');
  api = '';
  ui = '';
  log = '';
  #process: ChildProcess | undefined;
  #ports: readonly [number, number] | undefined;
  #cookie = '';

  /** @param ownSession as a service has it: the kernel shares out the processor between sessions before it does within one */
  async start(env: Record<string, string> = {}, { ownSession = false } = {}): Promise<void> {
    await mkdir(this.models, { recursive: true });
    this.#ports ??= [await freePort(), await freePort()];
    const [gatewayPort, uiPort] = this.#ports;
    this.api = `http://127.0.0.1:${gatewayPort}`;
    this.ui = `http://127.0.0.1:${uiPort}`;
    const child = spawn(process.execPath, [entry], {
      env: {
        ...process.env,
        CORTEX_DATA_DIR: join(this.dir, 'data'),
        CORTEX_MODELS_DIR: this.models,
        CORTEX_MODELS_DIR_HOST: this.models,
        CORTEX_ENGINE_NETWORK: 'cortex-test-embedded',
        GATEWAY_PORT: String(gatewayPort),
        FRONTEND_PORT: String(uiPort),
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: ownSession,
    });
    this.#process = child;
    child.stdout.on('data', (data: Buffer) => {
      this.log += data.toString();
    });
    child.stderr.on('data', (data: Buffer) => {
      this.log += data.toString();
    });
    const answers = () =>
      fetch(`${this.api}/health`).then(
        (answer) => answer.ok,
        () => false,
      );
    const deadline = Date.now() + startWithinMs;
    while (!(await answers())) {
      if (Date.now() > deadline || child.exitCode !== null) {
        // Who called has nothing yet that he could stop.
        await this.end('SIGKILL');
        throw new Error(`Cortex did not answer in time: ${this.log.slice(-2000)}`);
      }
      await sleep(200);
    }
  }

  /** As `signIn`, with a password of one's own in place of the first one, which the UI asks to change. */
  async signInForGood(): Promise<{ username: string; password: string }> {
    const { username, password: current } = await this.signIn();
    const password = `${current}-new`;
    await this.call('changePassword', { body: { current, next: password } });
    return { username, password };
  }

  /** Puts the tests' model into the folder `tiny`, as `tiny.gguf`. */
  async addTinyModel(): Promise<void> {
    await mkdir(join(this.models, 'tiny'));
    await writeTinyModel(join(this.models, 'tiny/tiny.gguf'));
  }

  /** The cookie of who is signed in. */
  get cookie(): string {
    return this.#cookie;
  }

  async call<N extends RouteName>(
    name: N,
    input: Partial<RouteInput<Routes[N]>> = {},
    authorization?: string,
  ): Promise<RouteResponse<Routes[N]>> {
    const route = routes[name];
    const path = route.path.replace(/:(\w+)/g, (_, key: string) =>
      encodeURIComponent(String(Object(input.params)[key])),
    );
    const query = new URLSearchParams(
      Object.entries(Object(input.query)).map(([name, value]) => [name, String(value)]),
    );
    const answer = await fetch(`${this.api}${path}?${query}`, {
      method: route.method,
      headers: {
        ...(input.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(this.#cookie === '' ? {} : { cookie: this.#cookie }),
        ...(authorization === undefined ? {} : { authorization }),
      },
      ...(input.body === undefined ? {} : { body: JSON.stringify(input.body) }),
    });
    const body: unknown = await answer.json();
    if (!answer.ok) throw new Error(`${name}: ${answer.status} ${JSON.stringify(body)}`);
    this.#cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? this.#cookie;
    return route.response.parse(body) as RouteResponse<Routes[N]>;
  }

  /** Makes the first administrator and signs in; gives what a browser needs to do the same. */
  async signIn(): Promise<{ username: string; password: string }> {
    const token = readFileSync(join(this.dir, 'data/local-token'), 'utf8').trim();
    const { username, password } = await this.call('bootstrap', { body: {} }, `Bearer ${token}`);
    await this.call('login', { body: { username, password } });
    return { username, password };
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Ends the process; its files stay for the next start, which listens on the same ports. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  }

  async stop(): Promise<void> {
    await this.end('SIGTERM');
    rmSync(this.dir, { recursive: true, force: true });
  }
}
