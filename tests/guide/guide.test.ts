import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { appendFile, copyFile, cp, mkdir, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { routes } from '../../contract/routes.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';
import { type Engine, startEngine } from '../ground/engine.ts';
import { createIsolatedNamespace, type IsolatedNamespace } from '../ground/namespace.ts';
import { addModelInBrowser } from './browser-flow.ts';
import { InsideHost, makeInsidePath } from './inside-host.ts';

const run = promisify(execFile);
const repository = fileURLToPath(new URL('../../', import.meta.url));
const artifacts = join(repository, 'tests/artifacts/guide');
const mirrors = ['docker.io', 'ghcr.io', 'gcr.io'].map((name) => `${name}=http://127.0.0.1:5055/${name}`).join(',');

/** The guide, from an empty checkout to a chat answer, typed as its reader would type it. Each step needs the one before it. */
describe('the offline deployment guide', () => {
  const work = mkdtempSync(join(tmpdir(), 'cortex-guide-'));
  const outside = join(work, 'outside/cortex-vllm');
  const inside = join(work, 'inside/cortex-vllm');
  const models = join(work, 'models');
  let namespace: IsolatedNamespace;
  let engine: Engine;
  let host: InsideHost;
  let password = '';
  let apiKey = '';
  let api = '';

  beforeAll(async () => {
    await rm(artifacts, { recursive: true, force: true });
    await mkdir(artifacts, { recursive: true });
    await mkdir(models, { recursive: true });
    namespace = await createIsolatedNamespace(`guide${process.pid}`);
    engine = await startEngine({
      name: `guide${process.pid}`,
      version: 'trixie',
      store: 'overlay2',
      netns: namespace.name,
    });
    host = new InsideHost(namespace.name, {
      PATH: makeInsidePath(join(work, 'bin')),
      HOME: join(work, 'home'),
      DOCKER_HOST: engine.host,
    });
    host.cwd = inside;
  });

  afterAll(async () => {
    host.close();
    await engine.stop();
    await namespace.destroy();
    rmSync(work, { recursive: true, force: true });
  });

  it('step 1: prepares the package on the connected machine, without a Docker Engine', async () => {
    await run('git', ['clone', '--quiet', repository, outside]);
    // What is being worked on counts too, so that the test speaks of this tree and not only of its last commit.
    const { stdout: changed } = await run('git', [
      '-C',
      repository,
      'ls-files',
      '--modified',
      '--others',
      '--exclude-standard',
    ]);
    for (const file of changed.split('\n').filter((name) => name !== '' && existsSync(join(repository, name)))) {
      await cp(join(repository, file), join(outside, file));
    }
    const { stdout } = await run('make', ['prepare-offline'], {
      cwd: outside,
      env: {
        ...process.env,
        CORTEX_REGISTRY_MIRRORS: mirrors,
        DOCKER_HOST: 'unix:///nonexistent/docker.sock',
        XDG_CONFIG_HOME: join(work, 'config'),
      },
      maxBuffer: 64 * 1024 * 1024,
    });
    writeFileSync(join(artifacts, '1-prepare.txt'), stdout);
    const files = readdirSync(join(outside, 'cortex-offline-images'));
    expect(files).toEqual(
      expect.arrayContaining([
        'vllm-openai-v0.6.3.tar',
        'llamacpp-server-cuda.tar',
        'cortex-0.1.0.tar',
        'postgres-16.tar',
        'redis-7.tar',
        'prometheus-v2.47.0.tar',
        'node-exporter-v1.6.1.tar',
        'dcgm-exporter.tar',
        'cadvisor-v0.47.0.tar',
        'registry-2.tar',
        'manifest.json',
        'checksums.txt',
        'README.txt',
      ]),
    );
    expect(files.filter((name) => name.endsWith('.partial'))).toEqual([]);
    await run('sha256sum', ['--strict', '-c', 'checksums.txt'], { cwd: join(outside, 'cortex-offline-images') });
  });

  it('step 2: carries the repository and the package over', async () => {
    await run('git', ['clone', '--quiet', outside, inside]);
    const { stdout: changed } = await run('git', [
      '-C',
      outside,
      'ls-files',
      '--modified',
      '--others',
      '--exclude-standard',
    ]);
    for (const file of changed.split('\n').filter((name) => name !== '' && existsSync(join(outside, name)))) {
      await cp(join(outside, file), join(inside, file));
    }
    await cp(join(outside, 'cortex-offline-images'), join(inside, 'cortex-offline-images'), { recursive: true });
    // The public key comes by another way than the package; a copied repository brings it along.
    await cp(join(outside, '.cortex/trusted-keys'), join(inside, '.cortex/trusted-keys'), { recursive: true });
    expect(existsSync(join(inside, 'node_modules'))).toBe(false);
    expect(existsSync(join(inside, 'dist'))).toBe(false);
    expect((await host.type('command -v node npm python3 jq curl git')).output).toBe('');
  });

  it('refuses a damaged archive, loads nothing of it, and says what to do', async () => {
    const archive = join(inside, 'cortex-offline-images/redis-7.tar');
    await copyFile(archive, join(work, 'redis-7.tar'));
    const file = await open(archive, 'r+');
    // In its own last layer: one that other archives hold as well would be taken from there.
    await file.write(Buffer.from([0x5a]), 0, 1, (await file.stat()).size - 20_000);
    await file.close();
    const { code, output } = await host.type('make load-offline');
    writeFileSync(join(artifacts, '3-load-damaged.txt'), output);
    expect(code).not.toBe(0);
    expect(output).toContain('redis-7.tar is not what was packed');
    expect(output).toContain('Copy redis-7.tar from the medium again');
    expect((await host.type('docker images -q redis:7')).output).toBe('');
    await copyFile(join(work, 'redis-7.tar'), archive);
  });

  it('names a missing archive and what to do', async () => {
    await rm(join(inside, 'cortex-offline-images/redis-7.tar'));
    const { code, output } = await host.type('make load-offline');
    expect(code).not.toBe(0);
    expect(output).toContain('redis-7.tar is named in the bill but is not in the package');
    const verify = await host.type('make verify-offline');
    expect(verify.code).not.toBe(0);
    expect(verify.output).toContain('redis:7');
    await copyFile(join(work, 'redis-7.tar'), join(inside, 'cortex-offline-images/redis-7.tar'));
  });

  it('says so where no Engine answers, and how to get one', async () => {
    const { code, output } = await host.type('make load-offline', { DOCKER_HOST: 'unix:///nonexistent/docker.sock' });
    expect(code).not.toBe(0);
    expect(output).toContain('No Docker Engine answers at unix:///nonexistent/docker.sock');
    expect(output).toContain('apt-get install docker.io');
  });

  it('step 3: loads all images', async () => {
    const { code, output } = await host.type('make load-offline');
    writeFileSync(join(artifacts, '3-load.txt'), output);
    expect(output).toContain('✓ All images loaded successfully!');
    expect(code).toBe(0);
  });

  it('step 4: verifies that the host is ready', async () => {
    const { code, output } = await host.type('make verify-offline');
    writeFileSync(join(artifacts, '4-verify.txt'), output);
    expect(output).toContain('✓ READY FOR OFFLINE OPERATION');
    expect(code).toBe(0);
  });

  it('step 5: a wrong value in backend/.env stops the start and is named', async () => {
    await host.type('echo "OFFLINE_MODE=Perhaps" >> backend/.env');
    const { code, output } = await host.type('make quick-start');
    writeFileSync(join(artifacts, '5-wrong-value.txt'), output);
    expect(code).not.toBe(0);
    expect(output).toContain('OFFLINE_MODE=Perhaps');
    expect(output).toMatch(/True.*False/s);
    await host.type('make down');
    await rm(join(inside, 'backend/.env'));
  });

  it('step 5: configures offline mode', async () => {
    const { code } = await host.type('echo "OFFLINE_MODE=True" >> backend/.env');
    expect(code).toBe(0);
    await appendFile(
      join(inside, 'backend/.env'),
      `OFFLINE_MODE_AUTO_DETECT=False       # Disable auto-detection\nREQUIRE_IMAGE_PRECACHE=True          # Strict\nCORTEX_MODELS_DIR=${models}\nCORTEX_MODELS_DIR_HOST=${models}\n`,
    );
  });

  it('step 6: starts, makes the first administrator and reports itself healthy', async () => {
    const { code, output } = await host.type('make quick-start');
    writeFileSync(join(artifacts, '6-quick-start.txt'), output.replace(/(Password: +)\S+/, '$1(shown once)'));
    expect(output).toMatch(/password/i);
    expect(code).toBe(0);
    password = /Password: +(\S+)/.exec(output)?.[1] ?? '';
    expect(password.length).toBeGreaterThanOrEqual(12);
    const status = await host.type('make status');
    writeFileSync(join(artifacts, '6-status.txt'), status.output);
    expect(status.code).toBe(0);
    expect((await host.type('make health')).code).toBe(0);
    const again = await host.type('make bootstrap-default');
    expect(again.output).toContain('already');
    api = `http://127.0.0.1:${await host.reach(8084, work)}`;
  });

  it('answers the image cache status to a session and refuses a cookie that merely says admin', async () => {
    const forged = await fetch(`${api}/admin/system/docker-images`, { headers: { Cookie: 'cortex_session=admin' } });
    expect(forged.status).toBe(401);
    const login = await fetch(`${api}/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username: 'admin', password }),
    });
    expect(login.status).toBe(200);
    const cookie = login.headers.get('set-cookie')?.split(';')[0] ?? '';
    const answer = await fetch(`${api}${routes.dockerImages.path}`, { headers: { Cookie: cookie } });
    const readiness = routes.dockerImages.response.parse(await answer.json());
    writeFileSync(join(artifacts, '6-docker-images.json'), JSON.stringify(readiness, null, 2));
    expect(readiness).toMatchObject({
      offline_mode: true,
      offline_ready: true,
      summary: { critical_images_cached: true },
    });
    expect(
      [...readiness.infrastructure, readiness.engines.vllm, readiness.engines.llamacpp].map((image) => image.identity),
    ).not.toContain('differs');
  });

  it('scenario 2: adds a model from a folder in the browser, starts it, makes a key and chats', async () => {
    await mkdir(join(models, 'tiny-llama'), { recursive: true });
    await writeTinyModel(join(models, 'tiny-llama/tiny-llama-f32.gguf'));
    const ui = `http://127.0.0.1:${await host.reach(3001, work)}`;
    apiKey = await addModelInBrowser({
      ui,
      password,
      folder: 'tiny-llama',
      servedName: 'tiny-llama',
      screenshots: artifacts,
    });
    expect(apiKey).toMatch(/^ctx_/);
  });

  it('streams a chat answer to the official OpenAI client and meters its tokens truly', async () => {
    const client = new OpenAI({ baseURL: `${api}/v1`, apiKey, maxRetries: 0 });
    expect((await client.models.list()).data.map((model) => model.id)).toContain('tiny-llama');
    const stream = await client.chat.completions.create({
      model: 'tiny-llama',
      messages: [{ role: 'user', content: 'Is anybody there?' }],
      max_tokens: 24,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let usage: OpenAI.CompletionUsage | undefined;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      usage = chunk.usage ?? usage;
    }
    expect(text.length).toBeGreaterThan(0);
    expect(usage?.completion_tokens).toBeGreaterThan(0);
    const query =
      "select prompt_tokens, completion_tokens, streamed, status from usage where endpoint like '%chat%' and key_id is not null order by at desc limit 1";
    await expect
      .poll(
        async () =>
          (await host.type(`docker exec cortex-postgres-1 psql -U cortex -d cortex -At -c "${query}"`)).output.trim(),
        { timeout: 15_000 },
      )
      .toBe(`${usage?.prompt_tokens}|${usage?.completion_tokens}|t|200`);
  });

  it('keeps the model through a restart of Cortex: the same container answers again', async () => {
    const container = () => host.type('docker ps -q --filter label=cortex.managed=true');
    const before = (await container()).output;
    const { code, output } = await host.type('make restart');
    expect(code, output).toBe(0);
    const client = new OpenAI({ baseURL: `${api}/v1`, apiKey, maxRetries: 20 });
    const answer = await client.chat.completions.create({
      model: 'tiny-llama',
      messages: [{ role: 'user', content: 'Still there?' }],
      max_tokens: 8,
    });
    expect(answer.usage?.completion_tokens).toBeGreaterThan(0);
    expect((await container()).output).toBe(before);
    expect(before.trim()).not.toBe('');
  });

  it("counts limits in the stack's own Redis where backend/.env names it", async () => {
    await appendFile(join(inside, 'backend/.env'), 'REDIS_URL=redis://redis:6379\n');
    const { code, output } = await host.type('make restart');
    expect(code, output).toBe(0);
    const json = { 'content-type': 'application/json' };
    const login = await fetch(`${api}/auth/login`, {
      method: 'POST',
      headers: json,
      body: JSON.stringify({ username: 'admin', password: `${password}-changed` }),
    });
    const cookie = login.headers.get('set-cookie')?.split(';')[0] ?? '';
    const limit = await fetch(`${api}${routes.setLimit.path}`, {
      method: routes.setLimit.method,
      headers: { ...json, cookie },
      body: JSON.stringify({ subject: 'model', id: 'tiny-llama', requests_per_minute: 1000 }),
    });
    expect(limit.status, await limit.text()).toBe(200);
    const client = new OpenAI({ baseURL: `${api}/v1`, apiKey, maxRetries: 20 });
    const { response } = await client.chat.completions
      .create({ model: 'tiny-llama', messages: [{ role: 'user', content: 'Who counts?' }], max_tokens: 2 })
      .withResponse();
    expect(response.headers.get('x-ratelimit-limit-requests')).toBe('1000');
    expect(response.headers.get('x-cortex-limits')).toBeNull();
    const keys = 'REDISCLI_AUTH="$(cat /run/secrets/redis-password)" redis-cli keys "*"';
    expect((await host.type(`docker exec cortex-redis-1 sh -c '${keys}'`)).output).toContain('tiny-llama');
  });

  it('shows no secret in docker inspect', async () => {
    const { output } = await host.type('docker inspect $(docker ps -q)');
    const secrets = readdirSync(join(inside, '.cortex/secrets')).map((name) =>
      readFileSync(join(inside, '.cortex/secrets', name), 'utf8').trim(),
    );
    expect(secrets.length).toBeGreaterThan(0);
    for (const secret of [...secrets, password, apiKey]) expect(output).not.toContain(secret);
  });

  it('stops everything with make down', async () => {
    expect((await host.type('make down')).code).toBe(0);
    expect((await host.type('docker ps -q')).output).toBe('');
  });

  it('never tried to leave: no packet went out of the namespace', async () => {
    const attempts = await namespace.capturedPackets();
    writeFileSync(join(artifacts, 'escaped-packets.txt'), attempts);
    expect(await namespace.escapedPackets(), attempts).toBe(0);
  });
});
