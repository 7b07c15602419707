import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { vi } from 'vitest';
import { writeTinyModel } from '../fixtures/tiny-model.ts';
import { freePort } from '../free-port.ts';

export const llamaPackages = fileURLToPath(new URL('../../.tests/cache/llama/node_modules', import.meta.url));
const images = fileURLToPath(new URL('../images/', import.meta.url));

/** Whether tests/images/build.mjs has fetched llama.cpp for this machine. In the gate it must have. */
export const hasLlama =
  existsSync(llamaPackages) || process.env.CI !== undefined || process.env.REQUIRE_DOCKER !== undefined;
if (!hasLlama) console.warn('Left out: clients before a real llama.cpp (node tests/images/build.mjs fetches it).');

/** The stand-in of tests/images/llama as a process of this machine: llama-server's interface over the real llama.cpp. */
export class LlamaProcess {
  readonly apiKey = 'key-of-llama';
  url = '';
  log = '';
  readonly #folder = mkdtempSync(join(tmpdir(), 'cortex-llama-'));
  #process: ChildProcess | undefined;

  /** Serves the tiny model under these flags, besides those that every engine needs. */
  async start(flags: readonly string[] = []): Promise<void> {
    for (const file of ['llama/llama-server.mjs', 'llama/engine.mjs', 'llama/flags.mjs', 'http.mjs'])
      cpSync(join(images, file), join(this.#folder, file.replace('llama/', '')));
    symlinkSync(llamaPackages, join(this.#folder, 'node_modules'));
    const model = join(this.#folder, 'tiny.gguf');
    await writeTinyModel(model);
    const port = await freePort();
    this.url = `http://127.0.0.1:${port}`;
    const common = ['--model', model, '--port', String(port), '--api-key', this.apiKey, '--alias', 'chatty'];
    const child = spawn(process.execPath, [join(this.#folder, 'llama-server.mjs'), ...common, ...flags], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process = child;
    child.stderr.on('data', (data: Buffer) => {
      this.log += data.toString();
    });
    const isReady = async () => {
      if (child.exitCode !== null) throw new Error(this.log);
      const answer = await fetch(`${this.url}/health`).catch(() => undefined);
      return answer?.ok === true;
    };
    await vi.waitUntil(isReady, { timeout: 50_000, interval: 100 });
  }

  async stop(): Promise<void> {
    const child = this.#process;
    if (child !== undefined && child.exitCode === null) {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await gone;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
