import { getEventListeners } from 'node:events';
import { createServer, type Server } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { llamacppOptions } from '../../../contract/engine-options/schema.ts';
import { CortexError } from '../../../contract/errors.ts';
import type { ModelRecord } from '../db/model-records.ts';
import type { Room, RoomContainer } from './engine-room/room.ts';
import { type ObservedModel, Supervisor, type SupervisorOptions } from './supervisor.ts';

const none = { version: null, flags: null };
const refusal = (reason: string) => new CortexError('docker_failed', { action: 'do it', reason });

/** A room whose Docker does what a test says. The real one is in tests/docker. */
class ScriptedRoom implements Room {
  containers: RoomContainer[] = [];
  readonly told: string[] = [];
  readonly network = 'net';
  list = async (): Promise<RoomContainer[]> => this.containers;
  inspect: Room['inspect'] = async () => null;
  ask: Room['ask'] = async () => none;
  start: Room['start'] = async (_record, id) => {
    this.containers = this.containers.map((one) => (one.id === id ? { ...one, status: 'running' } : one));
  };
  remove = async (id: string): Promise<void> => {
    this.told.push(`remove ${id}`);
    this.containers = this.containers.filter((container) => container.id !== id);
  };
  imageOf = (): string => 'image';
  prepare = async (): Promise<void> => undefined;
  hasGpus = async (): Promise<boolean> => false;
  specHash = ({ version }: ModelRecord): string => `spec ${version}`;
  preview: Room['preview'] = () => ({ Image: 'image' });
  stop = async (): Promise<void> => undefined;
  create: Room['create'] = async (record, _facts, replica = 0) => {
    this.told.push(`create ${record.id}`);
    this.containers.push(containerOf(record, { replica, status: 'created' }));
    return `c-${record.id}`;
  };
  async *logs(): AsyncGenerator<string> {}
  async *events(signal: AbortSignal): AsyncGenerator<never> {
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  }
}

const containerOf = (record: ModelRecord, changes: Partial<RoomContainer> = {}): RoomContainer => ({
  ...{
    id: `c-${record.id}`,
    modelId: record.id,
    replica: 0,
    status: 'running',
    address: null,
    createdAtMs: Date.now(),
  },
  specHash: `spec ${record.version}`,
  ...changes,
});
const recordOf = (id: string, changes: Partial<Pick<ModelRecord, 'wanted' | 'version'>> = {}): ModelRecord => ({
  ...{ id, name: id, served_name: id, engine: 'llamacpp', task: 'generate', folder: 'f', file: 'f.gguf' },
  ...{ replicas: 1, wanted: 'running', createdAt: '2026-01-01T00:00:00.000Z', version: 1 },
  options: llamacppOptions.parse({}),
  ...changes,
});

describe('the supervisor', () => {
  let room: ScriptedRoom;
  let records: ModelRecord[];
  let seen: readonly ObservedModel[];
  let supervisor: Supervisor;

  function watch(changes: Partial<SupervisorOptions> = {}): void {
    supervisor = new Supervisor({
      room,
      gate: { fetch: async () => undefined },
      listModels: async () => records,
      health: (url) =>
        fetch(`${url}/health`).then(
          ({ status }) => status,
          () => null,
        ),
      startTimeoutMs: async () => 60_000,
      hungAfterMs: 60_000,
      drainMs: 0,
      settleMs: 0,
      openRequests: () => 0,
      gpusFree: async () => true,
      rootSecret: Buffer.alloc(32),
      onObserved: (models) => {
        seen = models;
      },
      onStep: () => undefined,
      logger: { info: () => undefined, warn: () => undefined },
      ...changes,
    });
    supervisor.start();
  }
  const stateOf = (id: string) => seen.find(({ record }) => record.id === id)?.state;
  const until = (what: () => boolean) => vi.waitUntil(what, { timeout: 5_000, interval: 10 });

  beforeEach(() => {
    room = new ScriptedRoom();
    records = [];
    seen = [];
  });
  afterEach(() => supervisor.close());

  it('looks after models also where a container of a model that is gone can not be removed, and tries that no more often', async () => {
    room.containers = [containerOf(recordOf('gone'))];
    room.remove = async (id) => {
      room.told.push(`remove ${id}`);
      throw refusal('removal of the container is already in progress');
    };
    records = [recordOf('mdl_1')];
    watch();
    await until(() => room.told.includes('create mdl_1'));
    await until(() => stateOf('mdl_1') === 'loading' || stateOf('mdl_1') === 'starting');
    supervisor.wake();
    await new Promise((resolve) => setTimeout(resolve, 1200));
    expect(room.told.filter((one) => one === 'remove c-gone')).toHaveLength(1);
  });

  it('looks after the others where one can not be looked at, and says of that one why', async () => {
    const [odd, other] = [recordOf('odd'), recordOf('other')];
    records = [odd, other];
    room.containers = [containerOf(odd, { status: 'dead' })];
    room.inspect = async () => {
      throw refusal('layer does not exist');
    };
    watch();
    await until(() => room.told.includes('create other'));
    await until(() => seen.some(({ reason }) => reason?.includes('layer does not exist') === true));
    expect(stateOf('odd')).toBe('failed');
  });

  it('does not hold a failure against a model that was changed since its step began', async () => {
    let fail: (error: Error) => void = () => undefined;
    room.ask = () => new Promise((_, reject) => (fail = reject));
    records = [recordOf('mdl_1')];
    watch();
    await until(() => stateOf('mdl_1') === 'starting');
    await new Promise((resolve) => setTimeout(resolve, 50));
    records = [recordOf('mdl_1', { version: 2 })];
    room.ask = async () => none;
    supervisor.forget(recordOf('mdl_1'));
    fail(new CortexError('engine_option_unsupported', { image: 'image', reason: 'of the old version' }));
    await until(() => room.told.includes('create mdl_1'));
    expect(stateOf('mdl_1')).not.toBe('failed');
  });

  it.each<[string, (stuck: Promise<never>) => void, Partial<SupervisorOptions>]>([
    ['its image is asked', (stuck) => (room.ask = () => stuck), {}],
    ['it waits for the memory of its GPUs', () => undefined, { gpusFree: async () => false }],
  ])('stops a start at once while %s', async (_what, stick, changes) => {
    stick(new Promise<never>(() => undefined));
    records = [recordOf('mdl_1')];
    watch(changes);
    await until(() => stateOf('mdl_1') === 'starting');
    await new Promise((resolve) => setTimeout(resolve, 50));
    records = [recordOf('mdl_1', { wanted: 'stopped' })];
    const sinceMs = Date.now();
    supervisor.wake();
    await until(() => stateOf('mdl_1') === 'stopped' && seen.every(({ reason }) => reason === null));
    expect(Date.now() - sinceMs).toBeLessThan(3_000);
    expect(room.told).toEqual([]);
  });

  it('says what Docker refuses for good in words for people, and does not try it again by itself', async () => {
    let starts = 0;
    room.start = async () => {
      starts += 1;
      throw refusal('could not select device driver "" with capabilities: [[gpu]]');
    };
    records = [recordOf('mdl_1')];
    watch();
    await until(() => stateOf('mdl_1') === 'failed');
    expect(seen[0]).toMatchObject({ reason: 'Docker can not give a GPU to a container' });
    expect(seen[0]?.cause?.evidence).toContain('could not select device driver');
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(starts).toBe(1);
  });

  it('leaves nothing behind at each of its tries to hear events of a Docker that is away', async () => {
    const left: number[] = [];
    // biome-ignore lint/correctness/useYield: it fails before it gives an event.
    room.events = async function* (signal) {
      left.push(getEventListeners(signal, 'abort').length);
      throw new CortexError('docker_unavailable', { address: 'unix:///docker.sock', reason: 'nothing listens there' });
    };
    watch();
    await until(() => left.length === 2);
    expect(left[1]).toBe(left[0]);
  });

  it('tells what keeps Docker from making the network of the engines', async () => {
    records = [recordOf('one')];
    room.prepare = async () => {
      throw refusal('could not find an available, non-overlapping IPv4 address pool among the defaults');
    };
    watch();
    await until(() => stateOf('one') === 'failed');
    const one = seen.find(({ record }) => record.id === 'one');
    expect(one?.reason).toBe('Docker has no addresses left for one more network');
    expect(one?.hint).toContain('docker network prune');
  });

  describe('while Docker is away', () => {
    let engine: Server;
    const address = `127.77.${Math.floor(Math.random() * 250)}.${1 + Math.floor(Math.random() * 250)}`;
    beforeEach(async () => {
      engine = createServer((_request, response) => response.end());
      await new Promise<void>((resolve) => engine.listen(8080, address, resolve));
    });
    afterEach(() => engine.close());

    it('lets engines that answer go on serving, and takes out those that do not', async () => {
      const [one, two] = [recordOf('one'), recordOf('two')];
      records = [one, two];
      room.containers = [containerOf(one, { address }), containerOf(two, { address: '127.0.0.9' })];
      watch();
      await until(() => stateOf('one') === 'ready');
      room.list = async () => {
        throw new CortexError('docker_unavailable', {
          address: 'unix:///docker.sock',
          reason: 'nothing listens there',
        });
      };
      supervisor.wake();
      await until(() => stateOf('two') === 'failed');
      const served = seen.find(({ record }) => record.id === 'one');
      expect(served).toMatchObject({ state: 'ready', reason: 'it serves, but no Docker Engine was found' });
      expect(served?.endpoints.map(({ url }) => url)).toEqual([`http://${address}:8080`]);
      engine.closeAllConnections();
      engine.close();
      await vi.waitUntil(() => stateOf('one') === 'failed', { timeout: 15_000, interval: 50 });
    });
  });
});
