import { CortexError } from '../../../contract/errors.ts';
import type { OnDemandSettings } from '../../../contract/on-demand.ts';
import type { RoutedModel, RoutingTable } from '../routing/table.ts';
import type { ModelWaker, WakeRules } from '../routing/waker.ts';
import { type Load, newLoad, waitFor } from './on-demand-load.ts';
import { chooseToUnload, type Loaded } from './on-demand-room.ts';

export interface OnDemandOptions {
  readonly records: {
    list(): Promise<ReadonlyMap<string, OnDemandSettings>>;
    put(modelId: string, settings: OnDemandSettings | null): Promise<void>;
  };
  readonly models: {
    get(id: string): Promise<unknown>;
    start(id: string): Promise<unknown>;
    stop(id: string): Promise<unknown>;
  };
  readonly table: RoutingTable;
  /** Requests under way at an endpoint. */
  readonly openRequests: (endpointId: string) => number;
  readonly logger: { info(details: object, message: string): void; warn(details: object, message: string): void };
}

const retryAfterSeconds = 10;
const roomLookMs = 500;
const idleLookMs = 1_000;
/** So soon at the latest the table shows that a model is being stopped. */
const unloadSeenMs = 10_000;
/** Other servers on the same database change settings too. */
const settingsMs = 10_000;

/**
 * Loads models that requests wait for, and unloads them when nobody has used them for their time or others need the room.
 * Invariant: a load that a request began ends when its last client leaves, unless one was told to come back.
 */
export class OnDemand implements ModelWaker {
  readonly #options: OnDemandOptions;
  readonly #loads = new Map<string, Load>();
  readonly #usedAtMs = new Map<string, number>();
  /** By the model's id; it is here until the model has stopped, or somebody wants it again. */
  readonly #unloading = new Map<string, { readonly written: Promise<void>; readonly atMs: number }>();
  readonly #stopping = new AbortController();
  readonly #unheard: () => void;
  #settings: ReadonlyMap<string, OnDemandSettings> = new Map();
  #timers: readonly NodeJS.Timeout[] = [];

  constructor(options: OnDemandOptions) {
    this.#options = options;
    this.#unheard = options.table.onReplace((parts) => {
      if (parts.models || parts.externals) this.#lookAtLoads();
    });
  }

  async begin(): Promise<void> {
    await this.#read();
    const { logger } = this.#options;
    const again = () =>
      void this.#read().catch((error: unknown) => logger.warn({ err: error }, 'Settings on demand could not be read'));
    this.#timers = [setInterval(again, settingsMs), setInterval(() => this.#unloadIdle(), idleLookMs)];
  }

  close(): void {
    this.#stopping.abort();
    this.#unheard();
    for (const timer of this.#timers) clearInterval(timer);
    for (const [servedName, load] of this.#loads) this.#refuse(servedName, load, 'stopping');
  }

  /** @throws CortexError not_found */
  async get(modelId: string): Promise<OnDemandSettings | null> {
    await this.#options.models.get(modelId);
    return (await this.#options.records.list()).get(modelId) ?? null;
  }

  /** @throws CortexError not_found */
  async set(modelId: string, settings: OnDemandSettings | null): Promise<OnDemandSettings | null> {
    await this.#options.models.get(modelId);
    await this.#options.records.put(modelId, settings);
    await this.#read();
    return settings;
  }

  /** A request for the model has ended just now. */
  used(modelId: string | null): void {
    if (modelId !== null && this.#settings.has(modelId)) this.#usedAtMs.set(modelId, Date.now());
  }

  async wake(servedName: string, rules: WakeRules, gone: AbortSignal): Promise<void> {
    const model = this.#options.table.model(servedName);
    if (model === undefined) throw notReady(servedName, 'gone');
    if (model.endpoints.length > 0) return;
    if (gone.aborted) throw new Error('the client has gone');
    const load = this.#loads.get(servedName) ?? newLoad();
    if (load.waiting.size >= rules.queueLimit)
      throw new CortexError('queue_full', { model: servedName, waiting: load.waiting.size }, { retryAfterSeconds });
    const isNew = !this.#loads.has(servedName);
    this.#loads.set(servedName, load);
    const waits = waitFor(load, rules.queueTimeoutMs, gone, {
      tooLate: () => {
        const seconds = rules.queueTimeoutMs / 1000;
        return new CortexError('queue_timeout', { model: servedName, seconds }, { retryAfterSeconds });
      },
      left: () => this.#left(servedName, model.modelId, load),
    });
    if (isNew) void this.#load(servedName, model.modelId, load).catch(() => undefined);
    await waits;
  }

  /** Of the last client that leaves. */
  #left(servedName: string, modelId: string, load: Load): void {
    if (load.waiting.size > 0 || load.comingBack) return;
    this.#loads.delete(servedName);
    if (load.begun) this.#unload(modelId, servedName, 'nobody waits for it any more');
  }

  /** Until it is begun, or nobody waits any more. An operator may start it as well: then there is nothing to do. */
  async #load(servedName: string, modelId: string, load: Load): Promise<void> {
    const { models, table, logger } = this.#options;
    const { signal } = this.#stopping;
    const isWaitedFor = () => this.#loads.get(servedName) === load;
    while (isWaitedFor() && !signal.aborted) {
      await this.#unloading.get(modelId)?.written;
      const state = table.model(servedName)?.state;
      try {
        if ((state === 'stopped' || state === 'stopping') && this.#hasRoomInGroup(modelId)) {
          load.begun = true;
          this.#unloading.delete(modelId);
          await models.start(modelId);
          logger.info({ model: servedName }, 'A model is loaded for a request');
          // The last client left while it was being asked for.
          if (!isWaitedFor() && !load.loaded) this.#unload(modelId, servedName, 'nobody waits for it any more');
          return;
        }
      } catch (error) {
        load.begun = false;
        if (!(error instanceof CortexError && error.code === 'gpu_memory_held')) {
          logger.warn({ err: error, model: servedName }, 'A model that a request waits for could not be started');
          this.#refuse(servedName, load, 'not able to start');
          return;
        }
        this.#makeRoom(modelId, () => true);
      }
      await new Promise((resolve) => setTimeout(resolve, roomLookMs));
    }
  }

  /** Others of its group that nobody uses are unloaded; whether none is loaded any more. */
  #hasRoomInGroup(modelId: string): boolean {
    const group = this.#settings.get(modelId)?.group ?? null;
    if (group === null) return true;
    const isOfGroup = (id: string) => id !== modelId && this.#settings.get(id)?.group === group;
    const others = [...this.#options.table.models()].filter((model) => isOfGroup(model.modelId));
    const holds = (model: RoutedModel) => isLoaded(model) || this.#loads.get(model.servedName)?.begun === true;
    if (!others.some(holds)) return true;
    this.#makeRoom(modelId, isOfGroup);
    return false;
  }

  #makeRoom(forId: string, isMeant: (id: string) => boolean): void {
    // What has been told to make room may be enough.
    if ([...this.#unloading.keys()].some(isMeant)) return;
    const loaded = this.#loaded().filter(({ modelId }) => modelId !== forId && isMeant(modelId));
    const priority = this.#settings.get(forId)?.priority ?? 0;
    const chosen = chooseToUnload(loaded, priority, Date.now());
    if (chosen !== null) this.#unload(chosen.modelId, chosen.servedName, 'another model needs its room');
  }

  #unloadIdle(): void {
    const now = Date.now();
    for (const { modelId, servedName, settings, open, usedAtMs } of this.#loaded()) {
      const { idle_seconds: idle } = settings;
      if (open > 0) this.#usedAtMs.set(modelId, now);
      else if (idle !== null && now - usedAtMs >= idle * 1000)
        this.#unload(modelId, servedName, `nobody used it for ${idle} s`);
    }
  }

  /** The models on demand that serve. */
  #loaded(): Loaded[] {
    const { table, openRequests } = this.#options;
    return table.parts.models.flatMap(({ modelId, servedName, state, endpoints }) => {
      const settings = this.#settings.get(modelId);
      if (settings === undefined || this.#unloading.has(modelId)) return [];
      if (state !== 'ready') {
        this.#usedAtMs.delete(modelId);
        return [];
      }
      const open = endpoints.reduce((sum, { id }) => sum + openRequests(id), 0);
      const usedAtMs = this.#usedAtMs.get(modelId) ?? Date.now();
      this.#usedAtMs.set(modelId, usedAtMs);
      return [{ modelId, servedName, settings, open, usedAtMs }];
    });
  }

  #unload(modelId: string, servedName: string, reason: string): void {
    const { models, logger } = this.#options;
    logger.info({ model: servedName, reason }, 'A model on demand is unloaded');
    const written = models.stop(modelId).then(
      () => undefined,
      (error: unknown) => {
        this.#unloading.delete(modelId);
        logger.warn({ err: error, model: servedName }, 'A model could not be unloaded');
      },
    );
    this.#unloading.set(modelId, { written, atMs: Date.now() });
  }

  #lookAtLoads(): void {
    const states = new Map(this.#options.table.parts.models.map(({ modelId, state }) => [modelId, state]));
    for (const [modelId, { atMs }] of this.#unloading) {
      const state = states.get(modelId);
      const isSeenLate = state === 'ready' && Date.now() - atMs < unloadSeenMs;
      if (state !== 'stopping' && !isSeenLate) this.#unloading.delete(modelId);
    }
    for (const [servedName, load] of this.#loads) {
      const model = this.#options.table.model(servedName);
      if (model === undefined || model.state === 'failed') this.#refuse(servedName, load, model?.state ?? 'gone');
      else if (model.endpoints.length > 0) {
        this.#loads.delete(servedName);
        load.loaded = true;
        this.#usedAtMs.set(model.modelId, Date.now());
        for (const waiting of load.waiting) waiting.loaded();
      }
    }
  }

  #refuse(servedName: string, load: Load, state: string): void {
    this.#loads.delete(servedName);
    for (const waiting of load.waiting) waiting.refused(notReady(servedName, state));
  }

  async #read(): Promise<void> {
    this.#settings = await this.#options.records.list();
    this.#options.table.replace({ onDemand: [...this.#settings.keys()] });
  }
}

const isLoaded = ({ state }: RoutedModel) => state !== 'stopped' && state !== 'failed';

const notReady = (model: string, state: string) =>
  new CortexError('model_not_ready', { model, state }, { retryAfterSeconds });
