import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeTinyModel } from '../fixtures/tiny-model.ts';

const run = promisify(execFile);
const llama = 'ghcr.io/ggml-org/llama.cpp:server-cuda';
const models = mkdtempSync(join(tmpdir(), 'cortex-images-'));
const containers: string[] = [];

async function docker(...args: string[]): Promise<string> {
  return (await run('docker', args)).stdout.trim();
}

/** Runs a container that is expected to refuse, and returns its exit code and what it said. */
async function refusal(...args: string[]): Promise<{ code: unknown; said: string }> {
  return run('docker', ['run', '--rm', ...args]).then(
    ({ stdout }) => ({ code: 0, said: stdout }),
    (error: { code?: unknown; stderr?: string }) => ({ code: error.code, said: error.stderr ?? '' }),
  );
}

async function startLlama(delayMs: number): Promise<string> {
  const id = await docker(
    ...['run', '-d', '-v', `${models}:/models:ro`, '-e', `LLAMA_LOAD_DELAY_MS=${delayMs}`, llama],
    ...['-m', '/models/tiny.gguf', '--host', '0.0.0.0', '--port', '8080', '--embeddings', '--api-key', 'right'],
  );
  containers.push(id);
  return `http://${await docker('inspect', '-f', '{{.NetworkSettings.IPAddress}}', id)}:8080`;
}

const health = (url: string) =>
  fetch(`${url}/health`).then(
    (answer) => answer.status,
    () => 0,
  );
const post = (url: string, body: object, key = 'right') =>
  fetch(url, { method: 'POST', body: JSON.stringify(body), headers: { authorization: `Bearer ${key}` } });

describe('the stand-in images', () => {
  let url = '';

  beforeAll(async () => {
    await docker('version');
    await writeTinyModel(join(models, 'tiny.gguf'));
    url = await startLlama(2000);
  });
  afterAll(async () => {
    if (containers.length > 0) await docker('rm', '-f', ...containers);
    rmSync(models, { recursive: true, force: true });
  });

  it('llama.cpp says 503 while it loads and 200 after', async () => {
    await expect.poll(() => health(url), { timeout: 10_000, interval: 50 }).toBe(503);
    await expect.poll(() => health(url), { timeout: 30_000 }).toBe(200);
  });

  it('llama.cpp wants its key', async () => {
    await expect.poll(() => health(url), { timeout: 30_000 }).toBe(200);
    expect((await post(`${url}/v1/chat/completions`, { messages: [] }, 'wrong')).status).toBe(401);
  });

  it('llama.cpp streams a chat answer with its counts last', async () => {
    await expect.poll(() => health(url), { timeout: 30_000 }).toBe(200);
    const answer = await post(`${url}/v1/chat/completions`, {
      messages: [{ role: 'user', content: 'Hello' }],
      max_tokens: 5,
      stream: true,
      stream_options: { include_usage: true },
    });
    const events = (await answer.text()).trim().split('\n\n');
    expect(events.at(-1)).toBe('data: [DONE]');
    expect(events.at(-2)).toContain('"choices":[]');
    expect(events.at(-2)).toContain('"completion_tokens":5');
  });

  it('llama.cpp embeds and counts', async () => {
    await expect.poll(() => health(url), { timeout: 30_000 }).toBe(200);
    const answer = await (await post(`${url}/v1/embeddings`, { input: 'hi' })).text();
    expect(answer).toMatch(/"prompt_tokens":[1-9]/);
  });

  it('llama.cpp refuses a flag that it does not know', async () => {
    const { code, said } = await refusal(llama, '--foo');
    expect(code).toBe(1);
    expect(said).toContain('error: invalid argument: --foo');
  });

  it('vLLM refuses a flag that it does not know', async () => {
    const { code, said } = await refusal('vllm/vllm-openai:v0.6.3', '--foo');
    expect(code).toBe(2);
    expect(said).toContain('api_server.py: error: unrecognized arguments: --foo');
  });

  it('postgres refuses to start without a password', async () => {
    const { code, said } = await refusal('postgres:16');
    expect(code).toBe(1);
    expect(said).toContain('superuser password is not specified');
  });
});
