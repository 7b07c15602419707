import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ModelRecord } from '../../backend/src/db/model-records.ts';
import { EngineClient } from '../../backend/src/gateway/engine-client/engine-client.ts';
import { statusOf } from '../../backend/src/gateway/status-of.ts';
import { EngineRoom } from '../../backend/src/models/engine-room/room.ts';
import { ImageGate } from '../../backend/src/models/image-gate.ts';
import { type ObservedModel, Supervisor, type SupervisorOptions } from '../../backend/src/models/supervisor.ts';
import { llamacppOptions } from '../../contract/engine-options/schema.ts';
import { DockerEngine } from '../../docker/engine.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';

export const llama = 'ghcr.io/ggml-org/llama.cpp:server-cuda';
const policy = {
  OFFLINE_MODE: true,
  OFFLINE_MODE_AUTO_DETECT: false,
  REQUIRE_IMAGE_PRECACHE: false,
  IMAGE_PULL_TIMEOUT: 5,
};

/** A supervisor over a real Engine, whose records a test writes. */
export class SupervisedModels {
  readonly mark = randomBytes(4).toString('hex');
  readonly network = `cortex-test-${this.mark}`;
  readonly gate: ImageGate;
  records: ModelRecord[] = [];
  seen: readonly ObservedModel[] = [];
  /** Every state of a model that was seen or told. */
  readonly states = new Set<string>();
  root = '';
  readonly engine: DockerEngine;
  readonly #secret = randomBytes(32);
  readonly #client = new EngineClient();
  #supervisor: Supervisor | null = null;
  #room: EngineRoom | null = null;

  constructor(host?: string) {
    this.engine = host === undefined ? new DockerEngine() : new DockerEngine({ host });
    this.gate = new ImageGate({ images: this.engine.images, policy, archiveFile: () => 'x.tar', configured: [llama] });
  }

  /** Makes the models folder, with the model `tiny`. */
  async prepare(): Promise<void> {
    this.root = await mkdtemp(join(tmpdir(), 'cortex-models-'));
    await mkdir(join(this.root, 'tiny'));
    await writeTinyModel(join(this.root, 'tiny', 'tiny.gguf'));
  }

  get room(): EngineRoom {
    this.#room ??= new EngineRoom({
      engine: this.engine,
      imageOf: () => llama,
      models: { dir: this.root, dirHost: this.root },
      network: this.network,
    });
    return this.#room;
  }

  /** A supervisor begins, as after a start of Cortex: it knows nothing but what it sees. */
  watch(changes: Partial<SupervisorOptions> = {}): void {
    this.states.clear();
    this.#supervisor = new Supervisor({
      room: this.room,
      gate: this.gate,
      listModels: () => Promise.resolve(this.records),
      health: (url) => statusOf(this.#client, { url, ca: null, path: '/health', headers: {} }, 2_000),
      startTimeoutMs: () => Promise.resolve(60_000),
      hungAfterMs: 60_000,
      drainMs: 10_000,
      settleMs: 0,
      openRequests: () => 0,
      gpusFree: () => Promise.resolve(true),
      rootSecret: this.#secret,
      onObserved: (models) => {
        this.seen = models;
        for (const { state } of models) this.states.add(state);
      },
      onStep: (_id, state) => this.states.add(state),
      logger: { info: () => undefined, warn: () => undefined },
      ...changes,
    });
    this.#supervisor.start();
  }

  wake(): void {
    this.#supervisor?.wake();
  }

  forget(model: ModelRecord): void {
    this.#supervisor?.forget(model);
  }

  /** Every container that was made. */
  containers() {
    return this.engine.containers.list({ labels: [`cortex.network=${this.network}`], all: true });
  }

  async unwatch(): Promise<void> {
    await this.#supervisor?.close();
    this.#supervisor = null;
  }

  record(
    folder: string,
    changes: Partial<Pick<ModelRecord, 'wanted' | 'replicas'>> & { context?: number } = {},
  ): ModelRecord {
    const { wanted = 'running', replicas = 1, context = 512 } = changes;
    return {
      id: `t${this.mark}-${folder}`,
      name: folder,
      served_name: folder,
      engine: 'llamacpp',
      task: 'generate',
      folder,
      file: 'tiny.gguf',
      replicas,
      options: llamacppOptions.parse({ context_size: context, threads: 1 }),
      wanted,
      createdAt: '2026-01-01T00:00:00.000Z',
      version: 1,
    };
  }

  /** Waits until a model was seen so. */
  async until(what: (model: ObservedModel) => boolean, withinMs = 60_000): Promise<ObservedModel> {
    const deadline = Date.now() + withinMs;
    while (Date.now() < deadline) {
      const found = this.seen.find(what);
      if (found !== undefined) return found;
      await sleep(50);
    }
    throw new Error(`not so in ${withinMs} ms: ${JSON.stringify(this.seen.map(({ record: _, ...found }) => found))}`);
  }

  untilState(state: string): Promise<ObservedModel> {
    return this.until((model) => model.state === state);
  }

  containerOf({ id }: ModelRecord, replica = 0) {
    return this.engine.containers.inspect(`cortex-model-${id}${replica === 0 ? '' : `-${replica}`}`);
  }

  /** Ends the supervisor and removes what it has made. */
  async clear(): Promise<void> {
    await this.unwatch();
    for (const { id } of await this.containers()) await this.engine.containers.remove(id, { force: true });
    this.records = [];
    this.seen = [];
  }

  async close(): Promise<void> {
    await this.clear();
    await this.engine.removeNetwork(this.network);
    await this.engine.close();
    this.#client.close();
    await rm(this.root, { recursive: true, force: true });
  }
}
