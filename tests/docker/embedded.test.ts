import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import OpenAI from 'openai';
import { afterEach, describe, expect, it } from 'vitest';
import { type RouteInput, type RouteName, type RouteResponse, type Routes, routes } from '../../contract/routes.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';

const entry = fileURLToPath(new URL('../../dist/backend/src/main.js', import.meta.url));

const freePort = () =>
  new Promise<number>((resolve, reject) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });

/** Cortex as `make quick-start` runs it where there is no package: one process on the embedded database. */
class EmbeddedCortex {
  readonly dir = mkdtempSync(join(tmpdir(), 'cortex-embedded-'));
  readonly models = join(this.dir, 'models');
  api = '';
  ui = '';
  log = '';
  #process: ChildProcess | undefined;
  #cookie = '';

  async start(env: Record<string, string> = {}): Promise<void> {
    await mkdir(this.models, { recursive: true });
    const [gatewayPort, uiPort] = [await freePort(), await freePort()];
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
    });
    this.#process = child;
    child.stdout.on('data', (data: Buffer) => {
      this.log += data.toString();
    });
    child.stderr.on('data', (data: Buffer) => {
      this.log += data.toString();
    });
    await expect
      .poll(
        () =>
          fetch(`${this.api}/health`).then(
            (answer) => answer.status,
            () => 0,
          ),
        { timeout: 30_000, message: this.log },
      )
      .toBe(200);
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
    const answer = await fetch(this.api + path, {
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

  async signIn(): Promise<void> {
    const token = readFileSync(join(this.dir, 'data/local-token'), 'utf8').trim();
    const { username, password } = await this.call('bootstrap', { body: {} }, `Bearer ${token}`);
    await this.call('login', { body: { username, password } });
  }

  async stop(): Promise<void> {
    const child = this.#process;
    if (child !== undefined && child.exitCode === null) {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await gone;
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
}

describe('embedded mode', () => {
  const cortex: EmbeddedCortex[] = [];
  afterEach(async () => {
    for (const one of cortex.splice(0)) await one.stop();
  });

  it('serves a model from a folder to an OpenAI client where Docker is present', async () => {
    const server = new EmbeddedCortex();
    cortex.push(server);
    await server.start();
    await mkdir(join(server.models, 'tiny'));
    await writeTinyModel(join(server.models, 'tiny/tiny.gguf'));
    await server.signIn();
    const { model } = await server.call('createModel', {
      body: {
        engine: 'llamacpp',
        name: 'Tiny',
        served_name: 'tiny',
        task: 'generate',
        folder: 'tiny',
        file: 'tiny.gguf',
      },
    });
    await server.call('startModel', { params: { id: model.id } });
    await expect
      .poll(async () => (await server.call('getModel', { params: { id: model.id } })).model.state, {
        timeout: 90_000,
        interval: 500,
      })
      .toBe('ready');
    const { token } = await server.call('createKey', { body: { name: 'test' } });
    const client = new OpenAI({ baseURL: `${server.api}/v1`, apiKey: token, maxRetries: 0 });
    const stream = await client.chat.completions.create({
      model: 'tiny',
      messages: [{ role: 'user', content: 'Hello' }],
      max_tokens: 12,
      stream: true,
    });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    expect(text.length).toBeGreaterThan(0);
    await expect
      .poll(async () => (await server.call('listUsage')).records[0]?.completion_tokens ?? 0, { timeout: 10_000 })
      .toBeGreaterThan(0);
    await server.call('stopModel', { params: { id: model.id } });
    await expect
      .poll(async () => (await server.call('getModel', { params: { id: model.id } })).model.state, { timeout: 60_000 })
      .toBe('stopped');
    await server.call('deleteModel', { params: { id: model.id } });
  });

  it('refuses a folder without a model, in words, and makes nothing', async () => {
    const server = new EmbeddedCortex();
    cortex.push(server);
    await server.start();
    await mkdir(join(server.models, 'notes'));
    await writeFile(join(server.models, 'notes/broken.gguf'), 'not a model');
    await server.signIn();
    const body = { engine: 'llamacpp', name: 'X', served_name: 'x', folder: 'notes', file: 'broken.gguf' } as const;
    await expect(server.call('createModel', { body })).rejects.toThrow(
      /does not start with the letters GGUF.*folder_without_model/,
    );
    await expect(server.call('createModel', { body: { ...body, folder: '../data' } })).rejects.toThrow(
      /folder_outside/,
    );
    expect((await server.call('listModels')).models).toEqual([]);
  });

  it('starts without Docker and says plainly that no Engine was found and how to get one', async () => {
    const server = new EmbeddedCortex();
    cortex.push(server);
    await server.start({ DOCKER_HOST: 'unix:///nonexistent/docker.sock' });
    expect(await (await fetch(server.ui)).text()).toContain('<div id="root"');
    await server.signIn();
    const { docker } = await server.call('systemSummary');
    expect(docker.available).toBe(false);
    expect(docker.problem).toContain('No Docker Engine was found');
    expect(docker.hint).toContain('docker.io');
  });
});
