import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CortexError } from '../../../contract/errors.ts';
import type { ModelState } from '../../../contract/models.ts';
import { type OnDemandSettings, onDemandSettings } from '../../../contract/on-demand.ts';
import { RoutingTable } from '../routing/table.ts';
import { OnDemand } from './on-demand.ts';

const rules = { queueLimit: 2, queueTimeoutMs: 0 };
const quiet = { info: () => undefined, warn: () => undefined };

/** Models that start and stop when they are told to, as the table shows them. */
class World {
  readonly table = new RoutingTable();
  readonly states = new Map<string, ModelState>();
  readonly settings = new Map<string, OnDemandSettings>();
  readonly told: string[] = [];
  readonly open = new Map<string, number>();
  refuse: Error | null = null;
  readonly onDemand = new OnDemand({
    records: {
      list: async () => new Map(this.settings),
      put: async (id, settings) => {
        if (settings === null) this.settings.delete(id);
        else this.settings.set(id, settings);
      },
    },
    models: {
      get: async () => undefined,
      start: async (id) => {
        if (this.refuse !== null) throw this.refuse;
        this.told.push(`start ${id}`);
        this.show(id, 'loading');
      },
      stop: async (id) => {
        this.told.push(`stop ${id}`);
        setTimeout(() => this.show(id, 'stopped'), 50);
      },
    },
    table: this.table,
    openRequests: (endpointId) => this.open.get(endpointId) ?? 0,
    logger: quiet,
  });

  async add(id: string, settings: Partial<OnDemandSettings> = {}): Promise<void> {
    this.show(id, 'stopped');
    await this.onDemand.set(id, onDemandSettings.parse(settings));
  }

  show(id: string, state: ModelState): void {
    this.states.set(id, state);
    const endpointOf = (name: string) => ({
      ...{ id: name, url: 'http://127.0.0.1:1', apiKey: null, model: name, ca: null, external: false },
    });
    this.table.replaceModels(
      [...this.states].map(([name, now]) => ({
        ...{ modelId: name, servedName: name, task: 'generate' as const, state: now, createdAtMs: 0 },
        endpoints: now === 'ready' ? [endpointOf(name)] : [],
      })),
    );
  }

  wake(id: string, gone = new AbortController(), with_ = rules) {
    const waits = this.onDemand.wake(id, with_, gone.signal);
    waits.catch(() => undefined);
    return waits;
  }
}

describe('models on demand', () => {
  let world: World;
  beforeEach(async () => {
    vi.useFakeTimers();
    world = new World();
    await world.onDemand.begin();
  });
  afterEach(() => {
    world.onDemand.close();
    vi.useRealTimers();
  });
  const passes = (ms: number) => vi.advanceTimersByTimeAsync(ms);

  it('are started once, however many requests wait, and let them all go when they are ready', async () => {
    await world.add('a');
    const both = [world.wake('a'), world.wake('a')];
    await passes(1000);
    expect(world.told).toEqual(['start a']);
    world.show('a', 'ready');
    await Promise.all(both);
  });

  it('take no more waiting requests than the queue of the model', async () => {
    await world.add('a');
    void world.wake('a');
    void world.wake('a');
    await expect(world.wake('a')).rejects.toMatchObject({ code: 'queue_full', retryAfterSeconds: 10 });
  });

  it('go on loading for a client that was told to come back', async () => {
    await world.add('a');
    const late = world.wake('a', undefined, { ...rules, queueTimeoutMs: 3000 });
    const refused = expect(late).rejects.toMatchObject({ code: 'queue_timeout', status: 503, retryAfterSeconds: 10 });
    await passes(3000);
    await refused;
    const gone = new AbortController();
    void world.wake('a', gone);
    gone.abort();
    await passes(1000);
    expect(world.told).toEqual(['start a']);
  });

  it('are not loaded any further when the last client has left', async () => {
    await world.add('a');
    const clients = [new AbortController(), new AbortController()];
    for (const client of clients) void world.wake('a', client);
    await passes(100);
    clients[0]?.abort();
    await passes(100);
    expect(world.told).toEqual(['start a']);
    clients[1]?.abort();
    await passes(100);
    expect(world.told).toEqual(['start a', 'stop a']);
    void world.wake('a');
    await passes(1000);
    expect(world.told).toEqual(['start a', 'stop a', 'start a']);
  });

  it('that an operator starts go on loading when clients leave', async () => {
    await world.add('a');
    world.show('a', 'loading');
    const gone = new AbortController();
    void world.wake('a', gone);
    await passes(100);
    gone.abort();
    await passes(100);
    expect(world.told).toEqual([]);
  });

  it('that fail, or can not be started, refuse those that wait', async () => {
    await world.add('a');
    const waits = world.wake('a');
    await passes(100);
    world.show('a', 'failed');
    await expect(waits).rejects.toMatchObject({ code: 'model_not_ready' });
    world.show('a', 'stopped');
    world.refuse = new CortexError('folder_not_found', { folder: 'a', root: 'models' });
    await expect(world.wake('a')).rejects.toMatchObject({ code: 'model_not_ready' });
  });

  it('are unloaded when nobody has used them for their time, and never while a request is under way', async () => {
    await world.add('a', { idle_seconds: 60 });
    world.show('a', 'ready');
    world.open.set('a', 1);
    await passes(120_000);
    expect(world.told).toEqual([]);
    world.open.set('a', 0);
    await passes(58_000);
    world.onDemand.used('a');
    await passes(58_000);
    expect(world.told).toEqual([]);
    await passes(4_000);
    expect(world.told).toEqual(['stop a']);
  });

  it('of one group are loaded one at a time: one that nobody uses makes room', async () => {
    await world.add('a', { group: 'gpu' });
    await world.add('b', { group: 'gpu' });
    world.show('a', 'ready');
    world.open.set('a', 1);
    void world.wake('b');
    await passes(10_000);
    expect(world.told).toEqual([]);
    world.open.set('a', 0);
    await passes(10_000);
    expect(world.told).toEqual(['stop a', 'start b']);
  });

  it('of a higher priority make no room', async () => {
    await world.add('a', { group: 'gpu', priority: 1 });
    await world.add('b', { group: 'gpu' });
    world.show('a', 'ready');
    void world.wake('b');
    await passes(20_000);
    expect(world.told).toEqual([]);
  });

  it('make room where the memory of GPUs is held: the least important first, and one at a time', async () => {
    const held = { model: 'c', neededGiB: '1', freeGiB: '0', holders: 'a, b' };
    await world.add('a', { priority: 1 });
    await world.add('b');
    await world.add('c', { priority: 2 });
    world.show('a', 'ready');
    world.show('b', 'ready');
    await passes(5000);
    world.refuse = new CortexError('gpu_memory_held', held);
    void world.wake('c');
    await passes(100);
    expect(world.told).toEqual(['stop b']);
    world.refuse = null;
    await passes(1000);
    expect(world.told).toEqual(['stop b', 'start c']);
  });

  it('of one group that are asked for at the same time are not loaded together', async () => {
    await world.add('a', { group: 'gpu' });
    await world.add('b', { group: 'gpu' });
    void world.wake('a');
    void world.wake('b');
    await passes(3000);
    expect(world.told).toEqual(['start a']);
  });
});
