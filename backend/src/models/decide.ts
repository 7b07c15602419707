import type { Cause } from '../../../contract/diagnosis.ts';
import type { ModelState } from '../../../contract/models.ts';
import type { Diagnosis } from '../engines/diagnosis/diagnose.ts';

/** What was seen of a replica just now. */
export interface Observed {
  readonly container: {
    readonly id: string;
    readonly status: string;
    readonly specHash: string;
    readonly createdAtMs: number;
    /** It was ended by a signal that was not the kernel's for want of memory: nothing was wrong with the model. */
    readonly killed: boolean;
  } | null;
  /** How the engine's health answered; null where nothing runs. */
  readonly probe: 'ready' | 'loading' | 'silent' | null;
  /** Why it ended, where it has. */
  readonly diagnosis: Diagnosis | null;
}

/** What this process remembers of a replica between two looks; a new process starts with `freshMemory`. */
export interface Memory {
  /** This process made or started the container. */
  readonly startedAtMs: number | null;
  /** When it became ready; null where it is not, or was never seen to be. */
  readonly readySinceMs: number | null;
  /** Since when one that was ready does not answer; null while it does. */
  readonly silentSinceMs: number | null;
  readonly restarts: number;
  readonly retryAtMs: number;
  readonly failure: Diagnosis | null;
  /** Why it is tried again. */
  readonly lastFailure: Diagnosis | null;
}
export const freshMemory: Memory = {
  startedAtMs: null,
  readySinceMs: null,
  silentSinceMs: null,
  restarts: 0,
  retryAtMs: 0,
  failure: null,
  lastFailure: null,
};

export type Step =
  | { readonly do: 'nothing' | 'create' }
  | { readonly do: 'start' | 'stop' | 'remove'; readonly containerId: string };

export interface Decision {
  readonly step: Step;
  readonly state: ModelState;
  readonly reason: string | null;
  readonly hint: string | null;
  readonly cause: Cause | null;
  readonly memory: Memory;
}

export interface Wish {
  readonly wanted: 'running' | 'stopped';
  readonly specHash: string;
  readonly startTimeoutMs: number;
  /** After so long without an answer an engine that had been ready is started anew. */
  readonly hungAfterMs: number;
  /** Whether a container that serves may be exchanged now: false while another replica is not ready. */
  readonly mayReplace: boolean;
}

/** So often an engine is started again; then somebody has to look. A while without trouble gives them all back. */
export const restartLimit = 5;
const firstBackOffMs = 1_000;
const longestBackOffMs = 60_000;
const healthyAfterMs = 10 * 60_000;
const nothing: Step = { do: 'nothing' };

/**
 * Compares what is wanted with what was seen and gives one step, from any starting point. It looks at nothing and does
 * nothing by itself, so each case can be tested.
 */
export function decide(wish: Wish, seen: Observed, memory: Memory, nowMs: number): Decision {
  const say = (state: ModelState, step: Step = nothing, change: Partial<Memory> = {}, words?: Diagnosis): Decision => ({
    step,
    state,
    reason: words?.reason ?? null,
    hint: words?.hint ?? null,
    cause: words?.cause ?? null,
    memory: { ...memory, ...change },
  });
  const { container } = seen;

  if (wish.wanted === 'stopped') {
    if (container === null) return say('stopped', nothing, freshMemory);
    // It could not be removed a moment ago.
    if (nowMs < memory.retryAtMs)
      return say('stopping', nothing, {}, memory.failure ?? memory.lastFailure ?? undefined);
    return say('stopping', { do: 'remove', containerId: container.id });
  }
  if (memory.failure !== null) return say('failed', nothing, {}, memory.failure);
  const pauses = nowMs < memory.retryAtMs;
  if (container === null)
    return pauses ? say('starting', nothing, {}, waiting(memory, nowMs)) : say('starting', { do: 'create' });
  const remove: Step = { do: 'remove', containerId: container.id };
  const serves = container.status === 'running' && seen.probe === 'ready';
  if (container.specHash !== wish.specHash && (wish.mayReplace || !serves)) return say('starting', remove);
  if (container.status === 'created')
    return pauses
      ? say('starting', nothing, {}, waiting(memory, nowMs))
      : say('starting', { do: 'start', containerId: container.id });
  if (container.status === 'running') return running(container);

  // It has ended. One that this process never saw alive ended with the machine or with Docker: it simply starts again.
  if (memory.startedAtMs === null && memory.readySinceMs === null) return say('starting', remove);
  const diagnosis = seen.diagnosis ?? { reason: 'the engine ended', hint: 'The log shows what it did last.' };
  const neverWorked = memory.readySinceMs === null && memory.restarts === 0;
  if (neverWorked && !container.killed) return say('failed', nothing, { failure: diagnosis }, diagnosis);
  return again(remove, diagnosis);

  function running({ id: containerId, createdAtMs }: NonNullable<Observed['container']>): Decision {
    if (seen.probe === 'ready') {
      const readySinceMs = memory.readySinceMs ?? nowMs;
      const healthy = nowMs - readySinceMs >= healthyAfterMs;
      const change = { readySinceMs, silentSinceMs: null, lastFailure: null, ...(healthy ? { restarts: 0 } : {}) };
      return say('ready', nothing, change);
    }
    const startedAtMs = memory.startedAtMs ?? createdAtMs;
    const isLate = nowMs - startedAtMs >= wish.startTimeoutMs;
    // One that another process started, and that has had all its time: if it is not ready now, it hangs.
    if (memory.readySinceMs !== null || (isLate && memory.startedAtMs === null)) {
      const silentSinceMs = memory.silentSinceMs ?? nowMs;
      const silentMs = nowMs - silentSinceMs;
      const seconds = Math.round(wish.hungAfterMs / 1000);
      if (silentMs >= wish.hungAfterMs)
        return again(remove, {
          reason: `the engine did not answer for ${seconds} s`,
          hint: 'It is started anew; the log shows what it did last.',
        });
      const reason = `the engine has not answered for ${Math.round(silentMs / 1000)} s`;
      const hint = `Wait a moment; after ${seconds} s it is started anew.`;
      return say('unhealthy', nothing, { silentSinceMs }, { reason, hint });
    }
    if (!isLate) return say('loading', nothing, { startedAtMs });
    const seconds = Math.round(wish.startTimeoutMs / 1000);
    const failure = {
      reason: `it was not ready after ${seconds} s`,
      hint: 'The log shows how far it came; MODEL_START_TIMEOUT_SECONDS in backend/.env gives it longer.',
    };
    return say('failed', { do: 'stop', containerId }, { failure }, failure);
  }

  function again(step: Step, words: Diagnosis): Decision {
    const change = countRestart(memory, words, nowMs);
    if (change.failure !== null) return { ...say('failed', nothing, {}, words), memory: change };
    return { ...say('starting', step, {}, waiting(change, nowMs)), memory: change };
  }
}

/** After a failure: once more after a pause that doubles, or no more. */
export function countRestart(memory: Memory, words: Diagnosis, nowMs: number): Memory {
  const retryAtMs = nowMs + Math.min(firstBackOffMs * 2 ** memory.restarts, longestBackOffMs);
  if (memory.restarts >= restartLimit) return { ...freshMemory, restarts: memory.restarts, retryAtMs, failure: words };
  return { ...freshMemory, restarts: memory.restarts + 1, retryAtMs, lastFailure: words };
}

function waiting({ lastFailure, retryAtMs, restarts }: Memory, nowMs: number): Diagnosis | undefined {
  if (lastFailure === null) return undefined;
  const seconds = Math.max(1, Math.ceil((retryAtMs - nowMs) / 1000));
  const reason = `${lastFailure.reason}; start ${restarts} of ${restartLimit} again in ${seconds} s`;
  return { ...lastFailure, reason };
}
