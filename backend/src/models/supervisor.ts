import { hkdfSync } from 'node:crypto';
import { Agent, request } from 'undici';
import { CortexError } from '../../../contract/errors.ts';
import type { ModelState } from '../../../contract/models.ts';
import type { ModelRecord } from '../db/model-records.ts';
import { diagnose } from '../engines/diagnosis.ts';
import type { Endpoint } from '../routing/table.ts';
import { containerName, factsOfName, labels, launchOf } from './container-spec.ts';
import { type Decision, decide, freshMemory, type Memory, type Observed } from './decide.ts';
import type { EngineContainer, EngineRoom } from './engine-room/room.ts';
import type { ImageGate } from './image-gate.ts';
import { checkOptions } from './option-check.ts';

export interface SupervisorLogger {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

export interface SupervisorOptions {
  readonly room: EngineRoom;
  readonly gate: ImageGate;
  readonly listModels: () => Promise<ModelRecord[]>;
  readonly startTimeoutMs: number;
  readonly rootSecret: Buffer;
  /** Called after each look with what was found. */
  readonly onObserved: (models: readonly ObservedModel[]) => void;
  readonly onStep: (modelId: string, state: ModelState, text: string) => void;
  readonly logger: SupervisorLogger;
}

export interface ObservedModel {
  readonly record: ModelRecord;
  readonly state: ModelState;
  readonly reason: string | null;
  readonly hint: string | null;
  readonly endpoint: Endpoint | null;
}

const busyLookMs = 500;
const calmLookMs = 10_000;
const probeTimeoutMs = 2_000;
const diagnosisLines = 200;
const stopSeconds = 10;

/**
 * Brings what runs and what is wanted together, from any starting point.
 * Invariants: the state is read anew in each look and never remembered as truth; Docker's events and requests only wake it;
 * no two operations run on one model at once; stopping Cortex stops no engine.
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #memory = new Map<string, Memory>();
  readonly #busy = new Set<string>();
  readonly #pulls = new Map<string, AbortController>();
  readonly #stopping = new AbortController();
  readonly #probes = new Agent({ connect: { timeout: probeTimeoutMs } });
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> | null = null;
  #lookAgain = false;
  #networkReady = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#followEvents();
    this.wake();
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#looking;
    await this.#probes.destroy();
  }

  /** Looks now; while a look runs, once more after it. */
  wake(): void {
    if (this.#stopping.signal.aborted) return;
    if (this.#looking !== null) {
      this.#lookAgain = true;
      return;
    }
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#looking = this.#look().finally(() => {
      this.#looking = null;
      if (this.#lookAgain) {
        this.#lookAgain = false;
        this.wake();
      }
    });
  }

  /** Forgets a model's failure, so that it is tried again. */
  forget(modelId: string): void {
    this.#memory.delete(modelId);
  }

  engineKey(modelId: string): string {
    return Buffer.from(hkdfSync('sha256', this.#options.rootSecret, '', `engine:${modelId}`, 32)).toString('base64url');
  }

  async #look(): Promise<void> {
    let busy = true;
    try {
      const records = await this.#options.listModels();
      const isWanted = (id: string) => records.some((record) => record.id === id && record.wanted === 'running');
      for (const [modelId, pull] of this.#pulls) if (!isWanted(modelId)) pull.abort();
      const found = await this.#containersByModel(records);
      const observed = await Promise.all(
        records.map((record) => this.#lookAt(record, found === null ? undefined : (found.get(record.id) ?? null))),
      );
      this.#options.onObserved(observed);
      busy = this.#busy.size > 0 || observed.some(({ state }) => !calmStates.has(state));
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'Looking at the models failed; it is tried again');
    }
    if (!this.#stopping.signal.aborted) this.#timer = setTimeout(() => this.wake(), busy ? busyLookMs : calmLookMs);
  }

  /** Our containers by model, or null where no Engine answers. Those of models that are gone are removed. */
  async #containersByModel(records: readonly ModelRecord[]): Promise<Map<string, EngineContainer> | null> {
    const { room, logger } = this.#options;
    try {
      if (!this.#networkReady) await room.prepare();
      this.#networkReady = true;
      const found = new Map<string, EngineContainer>();
      for (const { id, modelId } of await room.list()) {
        if (!records.some((record) => record.id === modelId) && !this.#busy.has(modelId)) {
          logger.info({ container: id, model: modelId }, 'A container of a model that is gone is removed');
          await room.remove(id);
          continue;
        }
        const details = await room.inspect(id);
        if (details !== null) found.set(modelId, details);
      }
      return found;
    } catch (error) {
      if (!(error instanceof CortexError)) throw error;
      this.#networkReady = false;
      if (error.code !== 'docker_unavailable') logger.warn({ err: error }, 'Docker could not tell its containers');
      return null;
    }
  }

  async #lookAt(record: ModelRecord, container: EngineContainer | null | undefined): Promise<ObservedModel> {
    const show = (
      state: ModelState,
      reason: string | null = null,
      hint: string | null = null,
      endpoint: Endpoint | null = null,
    ) => ({ record, state, reason, hint, endpoint });
    if (container === undefined) {
      const absent = new CortexError('docker_unavailable', {
        address: this.#options.room.address,
        reason: 'nothing answers',
      });
      return show(record.wanted === 'running' ? 'failed' : 'stopped', 'No Docker Engine was found', absent.hint);
    }
    const launch = launchOf(record, factsOfName(record.engine, this.#options.room.imageOf(record.engine)));
    const address = container?.addresses[this.#options.room.network];
    const url = address ? `http://${address}:${launch.port}` : null;
    const seen: Observed = {
      container:
        container === null
          ? null
          : { id: container.id, status: container.status, specHash: container.labels[labels.spec] ?? '' },
      probe: container?.status === 'running' && url !== null ? await this.#probe(url) : null,
      diagnosis: await this.#diagnosis(container),
    };
    const wish = {
      wanted: record.wanted,
      specHash: this.#options.room.specHash(record),
      startTimeoutMs: this.#options.startTimeoutMs,
    };
    const memory = this.#memory.get(record.id) ?? freshMemory;
    const decision = decide(wish, seen, memory, Date.now());
    if (!this.#busy.has(record.id)) {
      this.#memory.set(record.id, decision.memory);
      if (decision.step.do !== 'nothing') void this.#take(record, decision);
    }
    const endpoint: Endpoint | null =
      decision.state === 'ready' && url !== null
        ? {
            id: containerName(record.id),
            url,
            apiKey: this.engineKey(record.id),
            model: record.served_name,
            ca: null,
            external: false,
          }
        : null;
    return show(decision.state, decision.reason, decision.hint, endpoint);
  }

  /** Carries a step out beside the looks; a failure is kept and shown until somebody starts or stops the model. */
  async #take(record: ModelRecord, { step, state }: Decision): Promise<void> {
    const { room, onStep, logger } = this.#options;
    this.#busy.add(record.id);
    try {
      if (step.do === 'create') await this.#create(record);
      if (step.do === 'start') await this.#startContainer(record, step.containerId);
      if (step.do === 'stop') await room.stop(step.containerId, stopSeconds);
      if (step.do === 'remove') {
        onStep(record.id, state, 'stopping the engine');
        await room.stop(step.containerId, stopSeconds);
        await room.remove(step.containerId);
        onStep(record.id, state, 'the engine has stopped and its container is removed');
      }
    } catch (error) {
      logger.warn({ err: error, model: record.served_name, step: step.do }, 'A step of a model failed');
      const words =
        error instanceof CortexError
          ? { reason: error.message, hint: error.hint }
          : { reason: String(error), hint: 'make logs shows more.' };
      onStep(record.id, 'failed', words.reason);
      this.#memory.set(record.id, { ...(this.#memory.get(record.id) ?? freshMemory), failure: words });
    } finally {
      this.#busy.delete(record.id);
      this.wake();
    }
  }

  async #create(record: ModelRecord): Promise<void> {
    const { room, onStep } = this.#options;
    const image = room.imageOf(record.engine);
    await this.#fetchImage(record.id, image);
    onStep(record.id, 'starting', 'asking the image for its options');
    const facts = await room.ask(record.engine);
    checkOptions(record, image, facts);
    onStep(record.id, 'starting', `creating the container from ${image}`);
    await this.#startContainer(record, await room.create(record, facts));
  }

  /** The pull goes on only while the model is wanted. */
  async #fetchImage(modelId: string, image: string): Promise<void> {
    const { gate, onStep } = this.#options;
    const unwanted = new AbortController();
    this.#pulls.set(modelId, unwanted);
    let phase: string | null = null;
    try {
      await gate.fetch(image, {
        signal: AbortSignal.any([unwanted.signal, this.#stopping.signal]),
        onProgress: (progress) => {
          if (progress.phase !== phase) onStep(modelId, 'starting', `${progress.phase} ${image}`);
          phase = progress.phase;
        },
      });
    } finally {
      this.#pulls.delete(modelId);
    }
  }

  async #startContainer(record: ModelRecord, containerId: string): Promise<void> {
    const { room, onStep } = this.#options;
    const modelId = record.id;
    await room.start(record, containerId, this.engineKey(modelId));
    this.#memory.set(modelId, {
      ...(this.#memory.get(modelId) ?? freshMemory),
      startedAtMs: Date.now(),
      wasReady: false,
    });
    onStep(modelId, 'loading', 'the engine has started and reads the model');
  }

  async #probe(url: string): Promise<Observed['probe']> {
    try {
      const signal = AbortSignal.timeout(probeTimeoutMs);
      const { statusCode, body } = await request(`${url}/health`, { dispatcher: this.#probes, signal });
      await body.dump();
      if (statusCode === 200) return 'ready';
      return statusCode === 503 ? 'loading' : 'silent';
    } catch {
      return 'silent';
    }
  }

  async #diagnosis(container: EngineContainer | null) {
    if (container === null || (container.status !== 'exited' && container.status !== 'dead')) return null;
    const lines: string[] = [];
    const modelId = container.labels[labels.model] ?? '';
    for await (const line of this.#options.room.logs(modelId, { tail: diagnosisLines })) lines.push(line);
    return diagnose(lines, container);
  }

  async #followEvents(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        for await (const _event of this.#options.room.events(signal)) this.wake();
      } catch {
        // The Engine went away or is not there: the timer's looks say so.
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, calmLookMs);
        signal.addEventListener(
          'abort',
          () => {
            clearTimeout(timer);
            resolve();
          },
          { once: true },
        );
      });
    }
  }
}

const calmStates: ReadonlySet<ModelState> = new Set(['stopped', 'ready', 'failed']);
