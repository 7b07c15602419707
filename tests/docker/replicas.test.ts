import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { SupervisedModels } from './supervised-models.ts';

const models = new SupervisedModels();
beforeAll(() => models.prepare());
afterEach(() => models.clear());
afterAll(() => models.close());

describe('a model with two replicas', () => {
  it('has an endpoint for each, and loses one with its engine alone', async () => {
    const model = models.record('tiny', { replicas: 2 });
    models.records = [model];
    models.watch();
    const both = await models.until(({ endpoints }) => endpoints.length === 2);
    expect(both).toMatchObject({ state: 'ready', reason: null });
    expect(new Set(both.endpoints.map(({ url }) => url)).size).toBe(2);
    expect(both.replicas.map(({ replica, state }) => [replica, state])).toEqual([
      [0, 'ready'],
      [1, 'ready'],
    ]);

    const second = await models.containerOf(model, 1);
    await models.engine.containers.remove(second?.id ?? '', { force: true });
    const one = await models.until(({ endpoints }) => endpoints.length === 1);
    expect(one.state).toBe('ready');
    expect(one.reason).toContain('1 of 2 replicas serve');
    await models.until(({ endpoints }) => endpoints.length === 2);
  });

  it('is exchanged one after the other, and never without one that serves', async () => {
    const model = models.record('tiny', { replicas: 2 });
    models.records = [model];
    let fewest = 2;
    models.watch({
      onObserved: (found) => {
        models.seen = found;
        if (watching) fewest = Math.min(fewest, found[0]?.endpoints.length ?? 0);
      },
    });
    let watching = false;
    await models.until(({ endpoints }) => endpoints.length === 2);
    const before = await Promise.all([0, 1].map(async (replica) => (await models.containerOf(model, replica))?.id));
    watching = true;
    models.records = [models.record('tiny', { replicas: 2, context: 1024 })];
    models.wake();
    await expect
      .poll(
        async () => {
          const now = await Promise.all([0, 1].map(async (replica) => (await models.containerOf(model, replica))?.id));
          return now.every((id, at) => id !== undefined && id !== before[at]);
        },
        { timeout: 60_000 },
      )
      .toBe(true);
    await models.until(({ endpoints }) => endpoints.length === 2);
    expect(fewest).toBe(1);
  });

  it('gives the surplus up when fewer are wanted', async () => {
    const model = models.record('tiny', { replicas: 2 });
    models.records = [model];
    models.watch();
    await models.until(({ endpoints }) => endpoints.length === 2);
    models.records = [models.record('tiny', { replicas: 1 })];
    models.wake();
    await models.until(({ endpoints, replicas }) => endpoints.length === 1 && replicas.length === 1);
    expect(await models.containerOf(model, 1)).toBeNull();
    expect(await models.containerOf(model, 0)).not.toBeNull();
  });
});

describe('a model that is stopped while requests are under way', () => {
  it('gets no new ones, and is stopped when the last has ended', async () => {
    let open = 0;
    const model = models.record('tiny');
    models.records = [model];
    models.watch({ openRequests: () => open });
    await models.untilState('ready');
    open = 2;
    models.records = [models.record('tiny', { wanted: 'stopped' })];
    models.wake();
    const stopping = await models.until(({ reason }) => reason !== null);
    expect(stopping).toMatchObject({ state: 'stopping', endpoints: [], reason: '2 requests are still answered' });
    await sleep(1500);
    expect((await models.containerOf(model))?.status).toBe('running');
    open = 0;
    await models.untilState('stopped');
    expect(await models.containerOf(model)).toBeNull();
  });

  it('waits for them no longer than it may', async () => {
    const model = models.record('tiny');
    models.records = [model];
    models.watch({ openRequests: () => 1, drainMs: 500 });
    await models.untilState('ready');
    models.records = [models.record('tiny', { wanted: 'stopped' })];
    models.wake();
    await models.untilState('stopped');
  });
});

describe('an engine that does not answer any more', () => {
  it('is started anew after its time', async () => {
    const model = models.record('tiny');
    models.records = [model];
    models.watch({ hungAfterMs: 4000 });
    await models.untilState('ready');
    const before = (await models.containerOf(model))?.id ?? '';
    const { stdout } = await promisify(execFile)('docker', ['top', before, '-o', 'pid']);
    for (const pid of stdout.match(/\d+/g) ?? []) process.kill(Number(pid), 'SIGSTOP');
    const unhealthy = await models.untilState('unhealthy');
    expect(unhealthy.endpoints).toEqual([]);
    await models.until(({ state }) => state === 'ready');
    expect((await models.containerOf(model))?.id).not.toBe(before);
  });
});
