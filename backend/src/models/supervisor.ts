import { hkdfSync } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CortexError } from '../../../contract/errors.ts';
import type { ReplicaState } from '../../../contract/models.ts';
import type { ModelRecord } from '../db/model-records.ts';
import { diagnoseRefusal } from '../engines/diagnosis/diagnose.ts';
import { enginePort } from '../engines/launch.ts';
import type { Endpoint } from '../routing/table.ts';
import { countRestart, type Decision, decide, freshMemory, type Memory, type Observed, type Step } from './decide.ts';
import { type EngineHealth, EngineLook } from './engine-look.ts';
import type { RoomContainer } from './engine-room/room.ts';
import { type ModelSummary, type ReplicaFinding, summarise } from './model-summary.ts';
import { Orphans } from './orphans.ts';
import { keyOfReplica, type Replica, ReplicaSteps, type StepOptions } from './replica-steps.ts';

export interface SupervisorLogger {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

export interface SupervisorOptions extends Omit<StepOptions, 'keyOf'> {
  readonly listModels: () => Promise<ModelRecord[]>;
  readonly health: EngineHealth;
  /** How long a start may take, by what it has to read. */
  readonly startTimeoutMs: (record: ModelRecord) => Promise<number>;
  /** After so long without an answer an engine that had been ready is started anew. */
  readonly hungAfterMs: number;
  readonly rootSecret: Buffer;
  /** Called after each look with what was found. */
  readonly onObserved: (models: readonly ObservedModel[]) => void;
  readonly logger: SupervisorLogger;
}

export interface ObservedModel extends ModelSummary {
  readonly record: ModelRecord;
  readonly replicas: readonly ReplicaState[];
  readonly endpoints: readonly Endpoint[];
}

const busyLookMs = 500;
const calmLookMs = 10_000;
const eventsAgainMs = 2_000;
/** Docker tells that a container died before its own list says so. */
const stirredMs = 1_500;

/**
 * Brings what runs and what is wanted together, from any starting point.
 * Invariants: the state is read anew in each look and never remembered as truth; Docker's events and requests only wake it;
 * no two steps run at one replica at once; stopping Cortex stops no engine.
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #look: EngineLook;
  readonly #steps: ReplicaSteps;
  readonly #orphans: Orphans;
  /** By the replica's key. */
  readonly #memory = new Map<string, Memory>();
  readonly #keys = new Map<string, string>();
  readonly #stopping = new AbortController();
  /** Decided steps; they begin when the routing table has heard what was found. */
  readonly #next: (() => void)[] = [];
  /** As Docker told them last: while it is away, their engines may well go on. */
  #lastFound: ReadonlyMap<string, readonly RoomContainer[]> = new Map();
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> | null = null;
  #lookAgain = false;
  #networkReady = false;
  #eventAtMs = 0;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#look = new EngineLook(options.room, (modelId) => this.engineKey(modelId), options.health);
    this.#orphans = new Orphans(options);
    this.#steps = new ReplicaSteps({ ...options, keyOf: (modelId) => this.engineKey(modelId) });
  }

  start(): void {
    void this.#followEvents();
    this.wake();
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    this.#steps.close();
    this.#orphans.close();
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#looking;
  }

  /** Looks now; while a look runs, once more after it. */
  wake(): void {
    if (this.#stopping.signal.aborted) return;
    if (this.#looking !== null) {
      this.#lookAgain = true;
      return;
    }
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#looking = this.#lookAtAll().finally(() => {
      this.#looking = null;
      if (this.#lookAgain) {
        this.#lookAgain = false;
        this.wake();
      }
    });
  }

  /** Forgets a model's failures, so that it is tried again. */
  forget(record: ModelRecord): void {
    for (let index = 0; index < record.replicas; index += 1) this.#memory.delete(keyOfReplica({ record, index }));
  }

  engineKey(modelId: string): string {
    const known = this.#keys.get(modelId);
    if (known !== undefined) return known;
    const bytes = hkdfSync('sha256', this.#options.rootSecret, '', `engine:${modelId}`, 32);
    const key = Buffer.from(bytes).toString('base64url');
    this.#keys.set(modelId, key);
    return key;
  }

  async #lookAtAll(): Promise<void> {
    let busy = true;
    try {
      const records = await this.#options.listModels();
      const wanted = new Set(
        records
          .filter((record) => record.wanted === 'running')
          .flatMap(replicasOf)
          .map(keyOfReplica),
      );
      this.#steps.keepStarts((key) => wanted.has(key));
      const found = await this.#containersByModel(records);
      const observed = await Promise.all(
        records.map((record) =>
          found instanceof CortexError
            ? this.#withoutDocker(record, found)
            : this.#lookAt(record, found.get(record.id) ?? []).catch((error: unknown) => this.#unseen(record, error)),
        ),
      );
      this.#options.onObserved(observed);
      for (const begin of this.#next.splice(0)) begin();
      busy =
        Date.now() - this.#eventAtMs < stirredMs ||
        this.#steps.count > 0 ||
        observed.some(({ replicas }) => replicas.some(({ state }) => !calmStates.has(state)));
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'Looking at the models failed; it is tried again');
    }
    if (!this.#stopping.signal.aborted) this.#timer = setTimeout(() => this.wake(), busy ? busyLookMs : calmLookMs);
  }

  /** Our containers by model, or why nobody can tell. Those of models that are gone are removed. */
  async #containersByModel(records: readonly ModelRecord[]): Promise<Map<string, RoomContainer[]> | CortexError> {
    const { room, logger } = this.#options;
    try {
      if (!this.#networkReady) await room.prepare();
      this.#networkReady = true;
      const known = new Set(records.map(({ id }) => id));
      const found = new Map<string, RoomContainer[]>();
      const containers = await room.list();
      this.#look.keepOnly(new Set(containers.map(({ id }) => id)));
      for (const container of containers) {
        const { id, modelId } = container;
        if (known.has(modelId)) found.set(modelId, [...(found.get(modelId) ?? []), container]);
        else if (!this.#steps.isBusyWith(modelId)) this.#orphans.remove(id, modelId);
      }
      this.#lastFound = found;
      return found;
    } catch (error) {
      if (!(error instanceof CortexError)) throw error;
      this.#networkReady = false;
      if (error.code !== 'docker_unavailable') logger.warn({ err: error }, 'Docker could not tell its containers');
      return error;
    }
  }

  /** Without Docker nothing can be started or stopped, but engines that it has started go on answering. */
  async #withoutDocker(record: ModelRecord, error: CortexError): Promise<ObservedModel> {
    const isAway = error.code === 'docker_unavailable';
    const told = isAway ? null : diagnoseRefusal(error.message)?.words;
    const reason = isAway ? 'No Docker Engine was found' : (told?.reason ?? error.message);
    const unknown = { record, hint: told?.hint ?? error.hint, cause: told?.cause ?? null, replicas: [], endpoints: [] };
    if (record.wanted !== 'running') return { ...unknown, state: 'stopped', reason };
    const port = enginePort[record.engine];
    const running = (this.#lastFound.get(record.id) ?? []).filter(({ status }) => status === 'running');
    const answers = await Promise.all(running.map((container) => this.#look.answers(container, port)));
    const serving = running.filter((_, at) => answers[at]);
    if (serving.length === 0) return { ...unknown, state: 'failed', reason };
    return {
      ...unknown,
      state: 'ready',
      reason: isAway ? 'it serves, but no Docker Engine was found' : `it serves, but ${reason}`,
      replicas: serving.map(({ replica }) => ({ replica, state: 'ready', reason: null })),
      endpoints: serving.map(({ replica, address }) =>
        this.#endpointOf({ record, index: replica }, `http://${address}:${port}`),
      ),
    };
  }

  #unseen(record: ModelRecord, error: unknown): ObservedModel {
    this.#options.logger.warn({ err: error, model: record.served_name }, 'A model could not be looked at');
    const { message: reason, hint } =
      error instanceof CortexError ? error : { message: String(error), hint: 'make logs shows more.' };
    const state = record.wanted === 'running' ? 'failed' : 'stopping';
    return { record, state, reason, hint, cause: null, replicas: [], endpoints: [] };
  }

  /** Looks at each replica of a model, those that it has no more included, and begins at most one step for each. */
  async #lookAt(record: ModelRecord, containers: readonly RoomContainer[]): Promise<ObservedModel> {
    const { room, hungAfterMs } = this.#options;
    const port = enginePort[record.engine];
    const indexes = new Set([
      ...replicasOf(record).map(({ index }) => index),
      ...containers.map(({ replica }) => replica),
    ]);
    const seen = await Promise.all(
      [...indexes]
        .sort((a, b) => a - b)
        .map(async (index) => {
          const container = containers.find(({ replica }) => replica === index) ?? null;
          return { replica: { record, index }, container, observed: await this.#look.at(container, port, record) };
        }),
    );
    const isStarting = seen.some(
      ({ observed }) => observed.container?.status === 'running' && observed.probe !== 'ready',
    );
    const startTimeoutMs = isStarting ? await this.#options.startTimeoutMs(record) : 0;
    const findings: ReplicaFinding[] = [];
    const endpoints: Endpoint[] = [];
    let exchanging = false;
    for (const { replica, container, observed } of seen) {
      const others = seen.filter((other) => other.replica !== replica && other.replica.index < record.replicas);
      const mayReplace = !exchanging && others.every((other) => this.#serves(other.replica, other.observed));
      const decision = decide(
        {
          wanted: replica.index < record.replicas ? record.wanted : 'stopped',
          specHash: room.specHash(record, replica.index),
          startTimeoutMs,
          hungAfterMs,
          mayReplace,
        },
        observed,
        this.#memory.get(keyOfReplica(replica)) ?? freshMemory,
        Date.now(),
      );
      if (decision.step.do === 'remove' && observed.probe === 'ready') exchanging = true;
      this.#follow(replica, decision, observed);
      findings.push(await this.#finding(replica, decision, container));
      if (decision.state === 'ready' && container !== null && !this.#steps.isBusy(keyOfReplica(replica)))
        endpoints.push(this.#endpointOf(replica, `http://${container.address}:${port}`));
    }
    return { record, ...summarise(record.wanted, findings), replicas: findings.map(withoutHint), endpoints };
  }

  #serves(replica: Replica, { probe }: Observed): boolean {
    return probe === 'ready' && !this.#steps.isBusy(keyOfReplica(replica));
  }

  /** Has the step begin; what comes of it is remembered when it has ended. */
  #follow(replica: Replica, { step, memory }: Decision, observed: Observed): void {
    const key = keyOfReplica(replica);
    if (this.#steps.isBusy(key)) return;
    this.#memory.set(key, memory);
    if (step.do !== 'nothing') this.#next.push(() => this.#take(replica, step, memory, observed.probe === 'ready'));
  }

  /** @param before what was remembered when the step was decided: if it was forgotten since, so is how the step ended */
  #take(replica: Replica, step: Step, before: Memory, serves: boolean): void {
    const key = keyOfReplica(replica);
    const { record } = replica;
    this.#steps
      .take(replica, step, serves)
      .then((end) => {
        if (this.#memory.get(key) !== before) return;
        if (end.kind === 'started')
          this.#memory.set(key, { ...before, startedAtMs: Date.now(), readySinceMs: null, silentSinceMs: null });
        if (end.kind !== 'again' && end.kind !== 'failed') return;
        this.#options.logger.warn(
          { model: record.served_name, step: step.do, reason: end.words.reason },
          'A step of a model failed',
        );
        this.#options.onStep(record.id, 'failed', end.words.reason);
        const failed = { ...before, failure: end.words };
        this.#memory.set(key, end.kind === 'failed' ? failed : countRestart(before, end.words, Date.now()));
      })
      .catch((error: unknown) => {
        this.#options.logger.warn({ err: error, model: record.served_name, step: step.do }, 'A step of a model failed');
        const words = { reason: String(error), hint: 'make logs shows more.' };
        if (this.#memory.get(key) === before) this.#memory.set(key, countRestart(before, words, Date.now()));
      })
      .finally(() => this.wake());
  }

  async #finding(replica: Replica, decision: Decision, container: RoomContainer | null): Promise<ReplicaFinding> {
    const telling = this.#steps.telling(keyOfReplica(replica));
    const isLoading = decision.state === 'loading' && container !== null && decision.reason === null;
    const progress = isLoading ? await this.#look.progress(container, replica.record) : null;
    return {
      replica: replica.index,
      state: telling.state ?? decision.state,
      reason: telling.reason ?? decision.reason ?? progress,
      hint: decision.hint,
      cause: decision.cause,
    };
  }

  #endpointOf(replica: Replica, url: string): Endpoint {
    const { id, served_name: model } = replica.record;
    return { id: keyOfReplica(replica), url, apiKey: this.engineKey(id), model, ca: null, external: false };
  }

  async #followEvents(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        for await (const _event of this.#options.room.events(signal)) {
          this.#eventAtMs = Date.now();
          this.wake();
        }
      } catch {
        // The Engine went away or is not there: the timer's looks say so.
      }
      await sleep(eventsAgainMs, undefined, { signal }).catch(() => undefined);
      // What happened meanwhile was not told.
      this.wake();
    }
  }
}

const replicasOf = (record: ModelRecord): Replica[] =>
  Array.from({ length: record.replicas }, (_, index) => ({ record, index }));
const withoutHint = ({ replica, state, reason }: ReplicaFinding): ReplicaState => ({ replica, state, reason });
const calmStates: ReadonlySet<ReplicaState['state']> = new Set(['stopped', 'ready', 'failed']);
