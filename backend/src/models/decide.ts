import type { ModelState } from '../../../contract/models.ts';
import type { Diagnosis } from '../engines/diagnosis.ts';

/** What was seen of a model just now. */
export interface Observed {
  readonly container: { readonly id: string; readonly status: string; readonly specHash: string } | null;
  /** How the engine's health answered; null where nothing runs. */
  readonly probe: 'ready' | 'loading' | 'silent' | null;
  /** Why it ended, where it has. */
  readonly diagnosis: Diagnosis | null;
}

/** What this process remembers of a model between two looks; a new process starts with `freshMemory`. */
export interface Memory {
  /** This process made or started the container. */
  readonly startedAtMs: number | null;
  readonly wasReady: boolean;
  readonly restarts: number;
  readonly retryAtMs: number;
  readonly failure: Diagnosis | null;
}
export const freshMemory: Memory = { startedAtMs: null, wasReady: false, restarts: 0, retryAtMs: 0, failure: null };

export type Step =
  | { readonly do: 'nothing' | 'create' }
  | { readonly do: 'start' | 'stop' | 'remove'; readonly containerId: string };

export interface Decision {
  readonly step: Step;
  readonly state: ModelState;
  readonly reason: string | null;
  readonly hint: string | null;
  readonly memory: Memory;
}

export interface Wish {
  readonly wanted: 'running' | 'stopped';
  readonly specHash: string;
  readonly startTimeoutMs: number;
}

export const restartLimit = 3;
const firstBackOffMs = 1_000;
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
    memory: { ...memory, ...change },
  });
  const { container } = seen;

  if (wish.wanted === 'stopped') {
    if (container === null) return say('stopped', nothing, freshMemory);
    return say('stopping', { do: 'remove', containerId: container.id });
  }
  if (memory.failure !== null) return say('failed', nothing, {}, memory.failure);
  if (container === null) return nowMs < memory.retryAtMs ? say('starting') : say('starting', { do: 'create' });
  const remove: Step = { do: 'remove', containerId: container.id };
  if (container.specHash !== wish.specHash) return say('starting', remove);
  if (container.status === 'created') return say('starting', { do: 'start', containerId: container.id });

  if (container.status === 'running') {
    if (seen.probe === 'ready') return say('ready', nothing, { wasReady: true });
    if (memory.wasReady)
      return say(
        'unhealthy',
        nothing,
        {},
        {
          reason: 'the engine does not answer',
          hint: 'Wait a moment; if it stays so, stop the model and start it again.',
        },
      );
    const startedAtMs = memory.startedAtMs ?? nowMs;
    if (nowMs - startedAtMs < wish.startTimeoutMs) return say('loading', nothing, { startedAtMs });
    const seconds = Math.round(wish.startTimeoutMs / 1000);
    const failure = {
      reason: `it was not ready after ${seconds} s`,
      hint: 'The log shows how far it came; MODEL_START_TIMEOUT_SECONDS in backend/.env gives it longer.',
    };
    return say('failed', { do: 'stop', containerId: container.id }, { failure }, failure);
  }

  // It has ended. One that this process never saw alive ended with the machine or with Docker: it simply starts again.
  if (memory.startedAtMs === null && !memory.wasReady) return say('starting', remove);
  const diagnosis = seen.diagnosis ?? { reason: 'the engine ended', hint: 'The log shows what it did last.' };
  const neverWorked = !memory.wasReady && memory.restarts === 0;
  if (neverWorked || memory.restarts >= restartLimit) return say('failed', nothing, { failure: diagnosis }, diagnosis);
  const restarts = memory.restarts + 1;
  const retryAtMs = nowMs + firstBackOffMs * 4 ** (restarts - 1);
  return say('starting', remove, { restarts, retryAtMs, startedAtMs: null, wasReady: false }, diagnosis);
}
