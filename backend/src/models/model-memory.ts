import { freemem, totalmem } from 'node:os';
import { CortexError } from '../../../contract/errors.ts';
import type { GpuInventory, GpuShare, MemoryPlan, MemoryReport } from '../../../contract/memory.ts';
import type { ModelState, NewModel } from '../../../contract/models.ts';
import { findMemoryReport, putMemoryReport, setModelGpus } from '../db/memory-report-records.ts';
import type { ModelRecord } from '../db/model-records.ts';
import type { Executor } from '../db/schema.ts';
import { GiB } from '../engines/memory/layout.ts';
import { memoryModel } from '../engines/memory/options.ts';
import { figuresOf, planMemory } from '../engines/memory/plan.ts';
import { reportedMemory } from '../engines/memory/reported.ts';
import type { ModelShape } from '../engines/memory/shape.ts';
import { chooseGpus, freeBytes, type GpuHolder, gpuRooms, holderNames } from './gpu-assignment.ts';

export interface ModelMemoryOptions {
  readonly db: Executor;
  readonly inventory: () => Promise<GpuInventory>;
  readonly listModels: () => Promise<readonly ModelRecord[]>;
  /** As it was last seen; undefined before the first look. */
  readonly stateOf: (modelId: string) => ModelState | undefined;
  /** Null where the model's files don't tell its shape. */
  readonly shapeOf: (model: NewModel) => Promise<ModelShape | null>;
  readonly logs: (modelId: string, tail: number) => Promise<string[]>;
  readonly logger: { warn(details: object, message: string): void };
}

/** An engine writes a few thousand lines until it is ready. */
const startLines = 10_000;

export interface GpuReservation {
  readonly model_id: string;
  readonly served_name: string;
  readonly shares: GpuShare[];
}

/**
 * Plans the memory of models and gives them GPUs.
 * Invariant: what is given to models that are to run is never more than a GPU has; starts are given theirs one after the other.
 */
export class ModelMemory {
  readonly #options: ModelMemoryOptions;
  /** Of each engine, the version that its image told last. */
  readonly #versions = new Map<string, string | null>();
  #giving: Promise<unknown> = Promise.resolve();

  constructor(options: ModelMemoryOptions) {
    this.#options = options;
  }

  /**
   * Where a model's memory would go if it started now.
   * @param before the model itself where it is one already
   * @param version of its engine; left out, the one that its image told last
   */
  async plan(model: NewModel, before: ModelRecord | null, version?: string | null): Promise<MemoryPlan | null> {
    const shape = await this.#options.shapeOf(model);
    if (shape === null) return null;
    const question = { model, kept: idsOf(before, 0), shape, version: this.#versionOf(model, version) };
    return planFor(question, await this.#usable(), await this.#holders(before?.id ?? null)).plan;
  }

  /**
   * Gives a model its GPUs and starts it before another one is given any.
   * @throws CortexError gpu_memory_held where it would fit if others did not hold the memory; then it is not started
   */
  reserve<T>(record: ModelRecord, version: string | null | undefined, start: () => Promise<T>): Promise<T> {
    const started = this.#giving.then(async () => {
      await this.#reserve(record, version);
      return start();
    });
    this.#giving = started.catch(() => undefined);
    return started;
  }

  /** Whether the GPUs of a replica have free just now what it was given of them. */
  async isFree({ gpus = [] }: ModelRecord, replica: number): Promise<boolean> {
    const shares = gpus.filter((share) => share.replica === replica);
    if (shares.length === 0) return true;
    const free = freeBytes(
      await this.#options.inventory(),
      shares.map(({ uuid }) => uuid),
    );
    return shares.every(({ bytes }, at) => (free[at] ?? 0) >= bytes);
  }

  async #reserve(record: ModelRecord, version: string | null | undefined): Promise<void> {
    const { db, shapeOf } = this.#options;
    const inventory = await this.#usable();
    const shape = inventory.gpus.length === 0 ? null : await shapeOf(record);
    if (shape === null) return setModelGpus(db, record.id, null);
    const question = { model: record, shape, version: this.#versionOf(record, version) };
    const others = await this.#holders(record.id);
    const shares: GpuShare[] = [];
    for (let replica = 0; replica < record.replicas; replica += 1) {
      const earlier = { modelId: record.id, servedName: record.served_name, shares, stays: true };
      const kept = idsOf(record, replica);
      shares.push(...this.#sharesOf({ ...question, kept }, replica, inventory, [...others, earlier]));
    }
    await setModelGpus(db, record.id, shares);
  }

  /** @throws CortexError gpu_memory_held */
  #sharesOf(question: Question, replica: number, inventory: GpuInventory, holders: readonly GpuHolder[]): GpuShare[] {
    const { plan, shares } = planFor(question, inventory, holders);
    const alone = planFor(
      question,
      inventory,
      holders.map((holder) => ({ ...holder, stays: false })),
    ).plan;
    if (alone.fits !== false && (plan.fits === false || weightsOnGpus(plan) < weightsOnGpus(alone))) {
      const needed = alone.devices.reduce(
        (sum, { device, planned_bytes }) => sum + (device === 'gpu' ? planned_bytes : 0),
        0,
      );
      const free = gpuRooms(inventory.gpus, holders).reduce((sum, { availableBytes }) => sum + availableBytes, 0);
      throw new CortexError('gpu_memory_held', {
        model: question.model.served_name,
        neededGiB: (needed / GiB).toFixed(1),
        freeGiB: (free / GiB).toFixed(1),
        holders: holderNames(holders).join(', '),
      });
    }
    return shares.map((share) => ({ ...share, replica }));
  }

  /** Reads what an engine that became ready said of its memory. A log that tells nothing leaves the last report as it is. */
  hear(record: ModelRecord): void {
    this.#keepReport(record).catch((error: unknown) =>
      this.#options.logger.warn(
        { err: error, model: record.id },
        'What an engine said of its memory could not be kept',
      ),
    );
  }

  async #keepReport(record: ModelRecord): Promise<void> {
    const reported = reportedMemory(record.engine, await this.#options.logs(record.id, startLines));
    if (reported === null) return;
    const plan = await this.plan(record, record);
    const planned = plan === null ? null : figuresOf(plan);
    await putMemoryReport(this.#options.db, record.id, { at: new Date().toISOString(), planned, reported });
  }

  /** Where its memory goes, and what its engine said when it last became ready. */
  async overview(record: ModelRecord): Promise<{ plan: MemoryPlan | null; report: MemoryReport | null }> {
    const [plan, report] = await Promise.all([
      this.plan(record, record),
      findMemoryReport(this.#options.db, record.id),
    ]);
    return { plan, report };
  }

  async gpus(): Promise<GpuInventory & { reservations: GpuReservation[] }> {
    const holders = await this.#holders(null);
    const reservations = holders
      .filter(({ stays, shares }) => stays && shares.length > 0)
      .map(({ modelId, servedName, shares }) => ({ model_id: modelId, served_name: servedName, shares: [...shares] }));
    return { ...(await this.#options.inventory()), reservations };
  }

  #versionOf({ engine }: NewModel, told: string | null | undefined): string | null {
    if (told !== undefined) this.#versions.set(engine, told);
    return this.#versions.get(engine) ?? null;
  }

  /** GPUs that Docker can't give to containers are none for a model. */
  async #usable(): Promise<GpuInventory> {
    const inventory = await this.#options.inventory();
    return inventory.usable === false ? { ...inventory, source: 'none', gpus: [] } : inventory;
  }

  async #holders(modelId: string | null): Promise<GpuHolder[]> {
    const { listModels, stateOf } = this.#options;
    return (await listModels()).flatMap(({ id, served_name, wanted, gpus = [] }) => {
      const state = stateOf(id);
      // One that failed as well: it may be tried again at any time.
      const stays = wanted === 'running' && id !== modelId;
      if (!stays && (state === undefined || state === 'stopped' || state === 'failed')) return [];
      return [{ modelId: id, servedName: served_name, shares: gpus, stays }];
    });
  }
}

interface Question {
  readonly model: NewModel;
  /** The GPUs of its last start. */
  readonly kept: readonly string[];
  readonly shape: ModelShape;
  readonly version: string | null;
}

const idsOf = (record: ModelRecord | null, replica: number): string[] =>
  (record?.gpus ?? []).filter((share) => share.replica === replica).map(({ uuid }) => uuid);

/** One replica's plan. */
function planFor({ model, kept, shape, version }: Question, inventory: GpuInventory, holders: readonly GpuHolder[]) {
  const host = { totalBytes: totalmem(), availableBytes: freemem() };
  const question = { model: memoryModel(model), shape, version };
  const gpus =
    inventory.source === 'docker' ? null : chooseGpus(question, gpuRooms(inventory.gpus, holders), host, kept);
  const plan = planMemory({ ...question, room: { gpus, host } });
  const shares = plan.devices.flatMap(({ uuid, planned_bytes }) =>
    uuid === null ? [] : [{ uuid, bytes: planned_bytes, replica: 0 }],
  );
  return { plan, shares };
}

const weightsOnGpus = ({ devices }: MemoryPlan): number =>
  devices
    .filter(({ device }) => device === 'gpu')
    .flatMap(({ parts }) => parts)
    .reduce((total, { kind, bytes }) => total + (kind === 'weights' ? bytes : 0), 0);
