import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { CortexError } from '../../../../contract/errors.ts';
import { type Engine, mostReplicas, type NewModel, newModel } from '../../../../contract/models.ts';
import type { ContainerSpec } from '../../../../docker/containers.ts';
import type { ContainerDetails, DockerEngine, EngineEvent } from '../../../../docker/engine.ts';
import { tarOf } from '../../../../docker/tar.ts';
import type { ModelRecord } from '../../db/model-records.ts';
import type { EngineFacts } from '../../engines/help.ts';
import { apiKeyFile, modelMount } from '../../engines/launch.ts';
import {
  containerName,
  containerSpec,
  labels,
  managedLabel,
  type SpecSettings,
  specHashOf,
} from '../container-spec.ts';
import { EngineProbe } from '../engine-probe.ts';
import { memoryLimit, secretsFolder } from './confinement.ts';
import { type FolderGrant, grantFolder, type ModelsRoot } from './folder-grant.ts';

export type EngineContainer = ContainerDetails;

/** What one call tells of a container. */
export interface RoomContainer {
  readonly id: string;
  readonly modelId: string;
  readonly replica: number;
  /** created, running, exited, dead … */
  readonly status: string;
  readonly specHash: string;
  readonly createdAtMs: number;
  /** On the engines' network. */
  readonly address: string | null;
}

export interface EngineRoomOptions {
  readonly engine: DockerEngine;
  /** The catalog's image of each engine: no other is run. */
  readonly imageOf: (engine: Engine) => string;
  readonly models: ModelsRoot;
  readonly network: string;
}

/**
 * The only part that makes, starts, stops and removes containers. It builds each specification itself from a record that
 * it has checked again, and touches no container that it did not make: nobody who calls it can name a host path, a device,
 * a privilege or an image.
 */
export class EngineRoom {
  readonly #options: EngineRoomOptions;
  readonly #probe: EngineProbe;
  /** Identities of our containers; an identity never comes again. */
  readonly #ours = new Set<string>();
  /** By replica. Each look asks for them, and a record that nobody changed is the same object. */
  #hashes = new WeakMap<ModelRecord, Map<number, string>>();
  #gpus = false;
  #memoryBytes: number | null = null;
  #swept = false;

  constructor(options: EngineRoomOptions) {
    this.#options = options;
    this.#probe = new EngineProbe(options.engine, options.network);
  }

  get network(): string {
    return this.#options.network;
  }

  imageOf(engine: Engine): string {
    return this.#options.imageOf(engine);
  }

  /**
   * Makes the engines' network, which `docker system prune` takes along while no engine runs, and learns what the machine has.
   * @throws CortexError docker_unavailable, docker_failed
   */
  async prepare(): Promise<void> {
    const { engine, network } = this.#options;
    await this.#learn();
    // Cortex in a container of this Docker reaches engines only over their network, and they need no address of the host;
    // on the host it reaches them over the bridge.
    const self = existsSync('/.dockerenv') ? await engine.containers.inspect(hostname()) : null;
    const marks = { [labels.managed]: 'true' };
    await engine.ensureNetwork(network, { internal: true, hostAddress: self === null, labels: marks });
    if (self !== null && self.addresses[network] === undefined) await engine.connectNetwork(network, self.id);
    if (!this.#swept) await this.#probe.sweep();
    this.#swept = true;
  }

  /** What the engine's image tells of itself. */
  ask(engine: Engine): Promise<EngineFacts> {
    return this.#probe.ask(engine, this.imageOf(engine));
  }

  /** Whether containers can be given GPUs. */
  async hasGpus(): Promise<boolean> {
    await this.#learn();
    return this.#gpus;
  }

  /** Tells one wish from another: a container that carries another hash was made for something else. */
  specHash(record: ModelRecord, replica: number): string {
    const hashes = this.#hashes.get(record) ?? new Map<number, string>();
    const hash = hashes.get(replica) ?? specHashOf(record, replica, this.#settingsFor(record));
    this.#hashes.set(record, hashes.set(replica, hash));
    return hash;
  }

  /** The container that a record would get, without what only its folder tells. */
  preview(record: ModelRecord, facts: EngineFacts): ContainerSpec {
    return this.#spec(record, 0, facts, null);
  }

  /** Makes the container of a model's replica and gives its identity. @throws CortexError model_refused, folder_*, docker_* */
  async create(record: ModelRecord, facts: EngineFacts, replica = 0): Promise<string> {
    checkRecord(record, replica);
    await this.prepare();
    const grant = await grantFolder(this.#options.models, record);
    const { specHash: _hash, ...spec } = this.#spec(record, replica, facts, grant);
    const id = await this.#options.engine.containers.create(containerName(record.id, replica), spec);
    this.#ours.add(id);
    return id;
  }

  /**
   * Hands the key over and starts the container. The folder is looked at again before and after, since Docker opens it
   * by its name: where that leads to another one by then, the container is removed, and the next attempt makes a new one.
   * @throws CortexError model_refused, folder_*, docker_*
   */
  async start(record: ModelRecord, id: string, key: string): Promise<void> {
    checkRecord(record);
    const details = await this.inspect(id);
    if (details?.labels[labels.model] !== record.id) throw refusal(record, 'that container is not its own');
    const { containers } = this.#options.engine;
    await this.prepare();
    try {
      const before = await this.#grantOf(record, details);
      // A file: environment and arguments would stand in `docker inspect`.
      const name = apiKeyFile.slice(secretsFolder.length + 1);
      await containers.putArchive(id, secretsFolder, tarOf([{ name, content: Buffer.from(key), mode: 0o444 }]));
      await containers.start(id);
      const after = await this.#grantOf(record, details);
      if (after.identity !== before.identity) throw folderChanged(record);
    } catch (error) {
      if (error instanceof CortexError && !error.code.startsWith('docker_'))
        await containers.remove(id, { force: true });
      throw error;
    }
  }

  async stop(id: string, timeoutSeconds: number): Promise<void> {
    if (await this.#isOurs(id)) await this.#options.engine.containers.stop(id, { timeoutSeconds });
  }

  async remove(id: string): Promise<void> {
    if (await this.#isOurs(id)) await this.#options.engine.containers.remove(id, { force: true });
  }

  /** Null where it is gone, or not ours. */
  async inspect(id: string): Promise<EngineContainer | null> {
    const details = await this.#options.engine.containers.inspect(id);
    return details !== null && this.#isMarked(details) ? details : null;
  }

  /** Every container of this room, with the replica that it was made for. */
  async list(): Promise<RoomContainer[]> {
    const marks = [managedLabel, `${labels.network}=${this.#options.network}`];
    const listed = await this.#options.engine.containers.list({ labels: marks, all: true });
    for (const { id } of listed) this.#ours.add(id);
    return listed.map(({ id, status, createdAtMs, labels: told, addresses }) => ({
      id,
      status,
      createdAtMs,
      modelId: told[labels.model] ?? '',
      // Those of older versions have no number.
      replica: Number(told[labels.replica] ?? 0),
      specHash: told[labels.spec] ?? '',
      address: addresses[this.#options.network] || null,
    }));
  }

  /** Lines of a replica's engine, oldest first; none where it has no container. */
  async *logs(
    modelId: string,
    replica: number,
    options: { readonly tail: number; readonly follow?: boolean; readonly signal?: AbortSignal },
  ): AsyncGenerator<string> {
    const details = await this.inspect(containerName(modelId, replica));
    if (details !== null) yield* this.#options.engine.containers.logs(details.id, options);
  }

  /** What happens to our containers, until the signal or the Engine ends it. */
  events(signal: AbortSignal): AsyncGenerator<EngineEvent> {
    return this.#options.engine.events({ labels: [managedLabel], signal });
  }

  #spec(record: ModelRecord, replica: number, facts: EngineFacts, grant: FolderGrant | null) {
    const ground = grant === null ? null : { ...grant, memoryBytes: this.#memoryBytes };
    return containerSpec(record, replica, this.#settingsFor(record), facts, ground);
  }

  #settingsFor({ engine }: ModelRecord): SpecSettings {
    const { imageOf, models, network } = this.#options;
    return { image: imageOf(engine), modelsDirHost: models.dirHost, network, gpus: this.#gpus };
  }

  async #learn(): Promise<void> {
    const { runtimes, memoryBytes } = await this.#options.engine.info();
    const gpus = runtimes.includes('nvidia');
    if (gpus !== this.#gpus) this.#hashes = new WeakMap();
    this.#gpus = gpus;
    this.#memoryBytes = memoryLimit(memoryBytes);
  }

  /** The folder as it is now, where the container has just that one. */
  async #grantOf(record: ModelRecord, { mounts }: EngineContainer): Promise<FolderGrant> {
    const grant = await grantFolder(this.#options.models, record);
    const mount = mounts.find(({ target }) => target === modelMount);
    if (mount?.source !== grant.source || mount.writable) throw folderChanged(record);
    return grant;
  }

  async #isOurs(id: string): Promise<boolean> {
    return this.#ours.has(id) || (await this.inspect(id)) !== null;
  }

  #isMarked({ labels: marks }: EngineContainer): boolean {
    return marks[labels.managed] === 'true' && marks[labels.network] === this.#options.network;
  }
}

/** What others may ask of it. */
export type Room = Pick<EngineRoom, keyof EngineRoom>;

const refusal = ({ served_name }: Pick<ModelRecord, 'served_name'>, reason: string) =>
  new CortexError('model_refused', { model: served_name, reason });

const folderChanged = (record: ModelRecord) => refusal(record, `the folder '${record.folder}' was exchanged meanwhile`);

/** Whoever wrote the record: it is checked as a new one would be. */
function checkRecord({ id, gpus = [], ...model }: ModelRecord, replica = 0): void {
  if (!/^[A-Za-z0-9][\w-]{0,99}$/.test(id)) throw refusal(model, 'its id is not one that Cortex gives');
  if (!Number.isInteger(replica) || replica < 0 || replica >= mostReplicas)
    throw refusal(model, 'it has no such replica');
  // NVIDIA's runtime also takes `all` and numbers.
  if (!gpus.every(({ uuid }) => /^(?:GPU|MIG)-[\w/-]{1,200}$/.test(uuid)))
    throw refusal(model, 'it names a GPU that is none');
  const checked = newModel.safeParse(model satisfies NewModel);
  if (checked.success) return;
  const issue = checked.error.issues[0];
  throw refusal(model, issue === undefined ? 'it is not valid' : `${issue.path.join('.')}: ${issue.message}`);
}
