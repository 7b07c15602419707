import { setTimeout as sleep } from 'node:timers/promises';
import { CortexError, type ErrorCode } from '../../../contract/errors.ts';
import type { PullProgress } from '../../../contract/image-pulls.ts';
import type { ModelState } from '../../../contract/models.ts';
import type { ModelRecord } from '../db/model-records.ts';
import { type Diagnosis, diagnoseRefusal } from '../engines/diagnosis/diagnose.ts';
import { containerName } from './container-spec.ts';
import type { Step } from './decide.ts';
import type { Room } from './engine-room/room.ts';
import type { ImageGate } from './image-gate.ts';
import { checkOptions } from './option-check.ts';
import { pullWords } from './pull-words.ts';

export interface StepOptions {
  readonly room: Room;
  readonly gate: Pick<ImageGate, 'fetch'>;
  readonly keyOf: (modelId: string) => string;
  /** Requests that the gateway has open at an endpoint. */
  readonly openRequests: (endpointId: string) => number;
  /** Until what `openRequests` tells holds for all processes of the gateway. */
  readonly settleMs: number;
  readonly drainMs: number;
  /** Whether the memory of the replica's GPUs is free: what ran there before may not have given it back yet. */
  readonly gpusFree: (record: ModelRecord, replica: number) => Promise<boolean>;
  readonly onStep: (modelId: string, state: ModelState, text: string) => void;
}

/** A replica of a model. */
export interface Replica {
  readonly record: ModelRecord;
  readonly index: number;
}
export const keyOfReplica = ({ record, index }: Replica): string => containerName(record.id, index);

/** How a step went: `again` is one that may go well the next time. */
export type StepEnd =
  | { readonly kind: 'done' | 'started' | 'waits' }
  | { readonly kind: 'again' | 'failed'; readonly words: Diagnosis };

const stopSeconds = 10;
const drainLookMs = 200;
const gpuLookMs = 1_000;
const gpuPatienceMs = 30_000;

/** Somebody else changed something at the same moment, or a registry was away. */
const passing: ReadonlySet<ErrorCode> = new Set(['docker_failed', 'image_pull_unreachable']);

/** Nobody wants what the step was for. */
const unwanted = new Error('unwanted');

/** Carries out what was decided, beside the looks: never two steps at one replica. */
export class ReplicaSteps {
  readonly #options: StepOptions;
  readonly #underWay = new Map<string, { readonly modelId: string; text: string | null }>();
  readonly #starts = new Map<string, { readonly stop: AbortController; progress: PullProgress | null }>();
  readonly #closing = new AbortController();

  constructor(options: StepOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#underWay.size;
  }

  isBusy(key: string): boolean {
    return this.#underWay.has(key);
  }

  /** Whether a step is under way at any replica of a model. */
  isBusyWith(modelId: string): boolean {
    return [...this.#underWay.values()].some((step) => step.modelId === modelId);
  }

  /** What is being done just now, in words. */
  telling(key: string): { state: ModelState | null; reason: string | null } {
    const progress = this.#starts.get(key)?.progress ?? null;
    if (progress !== null) return { state: 'pulling', reason: pullWords(progress) };
    return { state: null, reason: this.#underWay.get(key)?.text ?? null };
  }

  /** Ends what goes on before a container is made, for replicas that nobody wants any more. */
  keepStarts(isWanted: (key: string) => boolean): void {
    for (const [key, { stop }] of this.#starts) if (!isWanted(key)) stop.abort(unwanted);
  }

  /** Steps that wait end without having done anything. */
  close(): void {
    this.#closing.abort();
  }

  /** @param serves requests may be under way at it */
  async take(replica: Replica, step: Step, serves: boolean): Promise<StepEnd> {
    const key = keyOfReplica(replica);
    const { record } = replica;
    const { room, onStep } = this.#options;
    this.#underWay.set(key, { modelId: record.id, text: null });
    try {
      if (step.do === 'create') await this.#create(replica);
      else if (step.do === 'start') await this.#start(replica, step.containerId);
      else if (step.do === 'stop' || step.do === 'remove') {
        if (serves) await this.#drain(key);
        this.#say(key, 'the engine is told to end');
        await room.stop(step.containerId, stopSeconds);
        if (step.do === 'remove') await room.remove(step.containerId);
        onStep(record.id, 'stopping', `${nameOf(replica)} has stopped`);
      }
      return { kind: step.do === 'create' || step.do === 'start' ? 'started' : 'done' };
    } catch (error) {
      if (this.#closing.signal.aborted || error === unwanted) return { kind: 'waits' };
      if (!(error instanceof CortexError)) throw error;
      if (error.code === 'docker_unavailable') return { kind: 'waits' };
      const known = error.code === 'docker_failed' ? diagnoseRefusal(error.message) : null;
      const words = known?.words ?? { reason: error.message, hint: error.hint };
      return { kind: passing.has(error.code) && known?.lasts !== true ? 'again' : 'failed', words };
    } finally {
      this.#underWay.delete(key);
    }
  }

  /** It ends as soon as nobody wants the replica any more, until the container is made. */
  async #create(replica: Replica): Promise<void> {
    const { room, onStep } = this.#options;
    const { record, index } = replica;
    const key = keyOfReplica(replica);
    const start = { stop: new AbortController(), progress: null };
    const signal = AbortSignal.any([start.stop.signal, this.#closing.signal]);
    this.#starts.set(key, start);
    try {
      const image = room.imageOf(record.engine);
      await this.#fetchImage(replica, image, signal);
      onStep(record.id, 'starting', 'asking the image for its options');
      const facts = await abandoned(room.ask(record.engine), signal);
      checkOptions(record, image, facts);
      await this.#awaitGpus(replica, signal);
      signal.throwIfAborted();
      onStep(record.id, 'starting', `creating the container from ${image}`);
      await this.#start(replica, await room.create(record, facts, index));
    } catch (error) {
      throw start.stop.signal.aborted ? unwanted : error;
    } finally {
      this.#starts.delete(key);
    }
  }

  async #start(replica: Replica, containerId: string): Promise<void> {
    const { room, keyOf, onStep } = this.#options;
    await room.start(replica.record, containerId, keyOf(replica.record.id));
    onStep(replica.record.id, 'loading', `${nameOf(replica)} has started and reads the model`);
  }

  async #fetchImage(replica: Replica, image: string, signal: AbortSignal): Promise<void> {
    const { gate, onStep } = this.#options;
    const start = this.#starts.get(keyOfReplica(replica));
    if (start === undefined) return;
    await gate.fetch(image, {
      signal,
      onProgress: (progress) => {
        if (progress.phase !== start.progress?.phase)
          onStep(replica.record.id, 'pulling', `${progress.phase} ${image}`);
        start.progress = progress;
      },
    });
    start.progress = null;
  }

  /** What has just ended may hold its memory for some seconds more. */
  async #awaitGpus(replica: Replica, signal: AbortSignal): Promise<void> {
    const { gpusFree, onStep } = this.#options;
    const deadline = Date.now() + gpuPatienceMs;
    while (!(await gpusFree(replica.record, replica.index))) {
      if (Date.now() > deadline) {
        onStep(replica.record.id, 'starting', 'the memory of its GPUs is still in use; it is tried all the same');
        return;
      }
      this.#say(keyOfReplica(replica), 'waiting for the memory of its GPUs');
      await sleep(gpuLookMs, undefined, { signal });
    }
  }

  /** The routing table has let go of it; what is under way may end. */
  async #drain(key: string): Promise<void> {
    const { openRequests, settleMs, drainMs } = this.#options;
    const { signal } = this.#closing;
    const deadline = Date.now() + settleMs + drainMs;
    await sleep(settleMs, undefined, { signal });
    for (let open = openRequests(key); open > 0 && Date.now() < deadline; open = openRequests(key)) {
      this.#say(key, `${open} ${open === 1 ? 'request is' : 'requests are'} still answered`);
      await sleep(drainLookMs, undefined, { signal });
    }
  }

  #say(key: string, text: string): void {
    const step = this.#underWay.get(key);
    if (step !== undefined) step.text = text;
  }
}

/** Waits for something that can't be ended, no longer than until the signal. */
function abandoned<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason);
    if (signal.aborted) leave();
    signal.addEventListener('abort', leave, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}

const nameOf = ({ record, index }: Replica): string =>
  record.replicas === 1 && index === 0 ? 'the engine' : `replica ${index}`;
