import { execFile } from 'node:child_process';
import { rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ModelRecord } from '../../backend/src/db/model-records.ts';
import { llama, SupervisedModels } from '../docker/supervised-models.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';
import { type Engine, startEngine } from '../ground/engine.ts';

const run = promisify(execFile);
/** Whatever happens: right again after so long. */
const convergenceMs = 30_000;

let engine: Engine;
let models: SupervisedModels;
const docker = (...args: string[]) => run('docker', ['--host', engine.host, ...args]);
const loadImage = () =>
  run('bash', ['-c', 'set -o pipefail; docker save "$1" | docker --host "$0" load', engine.host, llama]);

beforeAll(async () => {
  engine = await startEngine({ name: 'faults', version: 'bookworm', store: 'overlay2' });
  await loadImage();
  models = new SupervisedModels(engine.host);
  await models.prepare();
});
afterEach(() => models.clear());
afterAll(async () => {
  await models.close();
  await engine.stop();
});

async function runningModel(): Promise<{ model: ModelRecord; container: string }> {
  const model = models.record('tiny');
  models.records = [model];
  models.watch();
  await models.untilState('ready');
  return { model, container: (await models.containerOf(model))?.id ?? '' };
}

/** Waits until the model answers in another container than before, and gives how long that took. */
async function rightAgain(model: ModelRecord, before: string, sinceMs: number): Promise<number> {
  while (Date.now() - sinceMs < convergenceMs) {
    const now = await models.containerOf(model).catch(() => null);
    const found = models.seen[0];
    if (now !== null && now.id !== before && now.status === 'running' && found?.endpoints.length === 1) {
      const answer = await fetch(`${found.endpoints[0]?.url}/health`).catch(() => null);
      if (answer?.status === 200) return Date.now() - sinceMs;
    }
    await sleep(100);
  }
  throw new Error(`not right after ${convergenceMs} ms: ${JSON.stringify(models.seen[0])}`);
}

const told: string[] = [];
afterAll(() => console.info(told.join('\n')));

describe('an engine is right again within half a minute', () => {
  it.each<[string, (container: string) => Promise<unknown>]>([
    ['killed', (container) => docker('kill', container)],
    ['ended by hand', (container) => docker('stop', '--time', '1', container)],
    ['removed by hand', (container) => docker('rm', '-f', container)],
    ['paused by hand', (container) => docker('pause', container)],
  ])('when it was %s', async (what, act) => {
    const { model, container } = await runningModel();
    const sinceMs = Date.now();
    await act(container);
    told.push(`${what}: right again after ${await rightAgain(model, container, sinceMs)} ms`);
  });

  it('when the kernel ended it for want of memory, and says so', async () => {
    const { model, container } = await runningModel();
    const reasons = new Set<string>();
    const sinceMs = Date.now();
    const listening = setInterval(() => reasons.add(models.seen[0]?.reason ?? ''), 20);
    // Just above what it uses; what is written to a tmpfs then counts as its memory.
    const { stdout } = await docker('exec', container, 'cat', '/sys/fs/cgroup/memory/memory.usage_in_bytes');
    const limit = String(Number(stdout) + 4 * 1024 * 1024);
    await docker('update', '--memory', limit, '--memory-swap', limit, container);
    await docker('exec', container, 'dd', 'if=/dev/zero', 'of=/dev/shm/full', 'bs=1M', 'count=60').catch(
      () => undefined,
    );
    const ms = await rightAgain(model, container, sinceMs).finally(() => clearInterval(listening));
    told.push(`out of memory: right again after ${ms} ms`);
    expect([...reasons].join('\n')).toMatch(/memory/i);
  });

  it('when it was killed while it loads', async () => {
    const model = models.record('tiny');
    models.records = [model];
    models.watch();
    let container = '';
    while (container === '') {
      const found = await models.containerOf(model);
      if (found?.status === 'running') container = found.id;
      else await sleep(5);
    }
    const sinceMs = Date.now();
    await docker('kill', container);
    told.push(`killed while loading: right again after ${await rightAgain(model, container, sinceMs)} ms`);
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)('when the Engine was ended by %s and started again', async (signal) => {
    const { model, container } = await runningModel();
    await engine.end(signal);
    await models.until(
      ({ reason }) => reason?.includes('no Docker Engine') === true || reason?.startsWith('No Docker') === true,
    );
    await engine.begin();
    const sinceMs = Date.now();
    told.push(
      `Engine ended by ${signal}: right again ${await rightAgain(model, container, sinceMs)} ms after it is back`,
    );
  });

  it('when the machine was off: Engine, engines and Cortex', async () => {
    const { model, container } = await runningModel();
    await models.unwatch();
    await engine.loseEverything();
    await engine.begin();
    models.seen = [];
    const sinceMs = Date.now();
    models.watch();
    told.push(`machine off: right again after ${await rightAgain(model, container, sinceMs)} ms`);
    expect(await models.containers()).toHaveLength(1);
  });
});

describe('an engine that can not be right again', () => {
  it('is given up after some starts, with the reason, and starts when it is put right', async () => {
    const { model, container } = await runningModel();
    const file = join(models.root, 'tiny', 'tiny.gguf');
    await truncate(file, 2000);
    await docker('kill', container);
    const failed = await models.until(({ state }) => state === 'failed', 120_000);
    expect(failed.reason).toBeTruthy();
    expect(failed.hint).toBeTruthy();
    await rm(file);
    await writeTinyModel(file);
    models.forget(model);
    models.wake();
    await models.untilState('ready');
  });

  it('because its image is gone names the package file, and starts when the image is back', async () => {
    const { model, container } = await runningModel();
    await docker('rmi', '--force', llama);
    await docker('kill', container);
    const failed = await models.untilState('failed');
    expect(failed.reason).toContain(llama);
    expect(failed.hint).toContain('x.tar');
    await loadImage();
    models.forget(model);
    models.wake();
    await models.untilState('ready');
  });
});
