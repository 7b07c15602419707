import { describe, expect, it } from 'vitest';
import { countRestart, decide, freshMemory, type Memory, type Observed, restartLimit } from './decide.ts';

const wish = {
  wanted: 'running',
  specHash: 'a',
  startTimeoutMs: 60_000,
  hungAfterMs: 30_000,
  mayReplace: true,
} as const;
const seen = (status: string | null, probe: Observed['probe'] = null, specHash = 'a'): Observed => ({
  container: status === null ? null : { id: 'c1', status, specHash, createdAtMs: 0, killed: false },
  probe,
  diagnosis: status === 'exited' ? { reason: 'bad file', hint: 'copy it' } : null,
});

describe('what to do about a model', () => {
  it('makes a container where one is wanted and none is there', () => {
    expect(decide(wish, seen(null), freshMemory, 0)).toMatchObject({ step: { do: 'create' }, state: 'starting' });
  });
  it('calls a 503 loading, however long within the limit', () => {
    const memory = { ...freshMemory, startedAtMs: 0 };
    expect(decide(wish, seen('running', 'loading'), memory, 59_000)).toMatchObject({
      step: { do: 'nothing' },
      state: 'loading',
    });
  });
  it('fails a start that takes longer than the limit, and stops it', () => {
    const decision = decide(wish, seen('running', 'loading'), { ...freshMemory, startedAtMs: 0 }, 61_000);
    expect(decision).toMatchObject({ step: { do: 'stop' }, state: 'failed' });
    expect(decide(wish, seen('exited'), decision.memory, 62_000)).toMatchObject({
      step: { do: 'nothing' },
      state: 'failed',
    });
  });
  it('gives an engine that another process started what is left of its time, and then calls it hung', () => {
    const loading = decide(wish, seen('running', 'loading'), freshMemory, 59_000);
    expect(loading.state).toBe('loading');
    expect(decide(wish, seen('running', 'loading'), loading.memory, 61_000).state).toBe('failed');
    const silent = decide(wish, seen('running', 'silent'), freshMemory, 3_600_000);
    expect(silent).toMatchObject({ step: { do: 'nothing' }, state: 'unhealthy' });
    const later = decide(wish, seen('running', 'silent'), silent.memory, 3_631_000);
    expect(later).toMatchObject({ step: { do: 'remove' }, state: 'starting' });
  });
  it('adopts a running container of the same specification', () => {
    expect(decide(wish, seen('running', 'ready'), freshMemory, 0)).toMatchObject({
      step: { do: 'nothing' },
      state: 'ready',
    });
  });
  it('replaces a container of another specification', () => {
    expect(decide(wish, seen('running', 'ready', 'old'), freshMemory, 0)).toMatchObject({ step: { do: 'remove' } });
  });
  it('fails with the diagnosis when the engine ends before it was ever ready', () => {
    const memory = { ...freshMemory, startedAtMs: 0 };
    expect(decide(wish, seen('exited'), memory, 5)).toMatchObject({
      state: 'failed',
      reason: 'bad file',
      hint: 'copy it',
    });
  });
  it('starts a model again that had been ready, with growing pauses, and gives up in the end', () => {
    let memory: Memory = { ...freshMemory, startedAtMs: 0, readySinceMs: 0 };
    for (let round = 0; round < restartLimit; round += 1) {
      const decision = decide(wish, seen('exited'), memory, 100);
      expect(decision).toMatchObject({ step: { do: 'remove' }, state: 'starting' });
      expect(decide(wish, seen(null), decision.memory, 101).step).toEqual({ do: 'nothing' });
      expect(decide(wish, seen(null), decision.memory, decision.memory.retryAtMs).step).toEqual({ do: 'create' });
      memory = { ...decision.memory, startedAtMs: 0, readySinceMs: 0 };
    }
    expect(decide(wish, seen('exited'), memory, 100).state).toBe('failed');
  });
  it('starts again after a reboot: a container that ended before this process saw it is replaced', () => {
    expect(decide(wish, seen('exited'), freshMemory, 0)).toMatchObject({ step: { do: 'remove' }, state: 'starting' });
  });
  it('removes the container of a model that is to be stopped, whatever it does, and forgets its failures', () => {
    const stop = { ...wish, wanted: 'stopped' } as const;
    for (const status of ['created', 'running', 'exited', 'dead'])
      expect(decide(stop, seen(status), freshMemory, 0).step.do).toBe('remove');
    const failed = { ...freshMemory, failure: { reason: 'x', hint: 'y' } };
    expect(decide(stop, seen(null), failed, 0)).toMatchObject({ state: 'stopped', memory: freshMemory });
  });

  it('removes one that could not be removed again, with growing pauses and without end', () => {
    const stop = { ...wish, wanted: 'stopped' } as const;
    const words = { reason: 'device or resource busy', hint: 'wait' };
    let memory: Memory = freshMemory;
    let nowMs = 0;
    for (let round = 0; round < 2 * restartLimit; round += 1) {
      memory = countRestart(memory, words, nowMs);
      expect(decide(stop, seen('exited'), memory, nowMs)).toMatchObject({ state: 'stopping', step: { do: 'nothing' } });
      nowMs = memory.retryAtMs;
      expect(decide(stop, seen('exited'), memory, nowMs).step.do).toBe('remove');
    }
    expect(nowMs).toBeGreaterThan(60_000);
  });
  it('waits before it starts again a container that could not be started', () => {
    const memory = countRestart(freshMemory, { reason: 'no cgroup', hint: 'x' }, 0);
    expect(decide(wish, seen('created'), memory, 500)).toMatchObject({
      state: 'starting',
      step: { do: 'nothing' },
      reason: 'no cgroup; start 1 of 5 again in 1 s',
    });
    expect(decide(wish, seen('created'), memory, memory.retryAtMs).step.do).toBe('start');
  });

  it('doubles the pause between starts up to a minute, and says when the next one is', () => {
    let memory: Memory = { ...freshMemory, startedAtMs: 0, readySinceMs: 0 };
    const pauses = Array.from({ length: restartLimit }, () => {
      const decision = decide(wish, seen('exited'), memory, 0);
      memory = { ...decision.memory, startedAtMs: 0 };
      return decision.memory.retryAtMs;
    });
    expect(pauses).toEqual([1000, 2000, 4000, 8000, 16_000]);
    const waiting = {
      ...freshMemory,
      restarts: 2,
      retryAtMs: 5000,
      lastFailure: { reason: 'bad file', hint: 'copy it' },
    };
    expect(decide(wish, seen(null), waiting, 2000)).toMatchObject({
      state: 'starting',
      reason: 'bad file; start 2 of 5 again in 3 s',
      hint: 'copy it',
    });
  });
  it('counts starts anew after ten minutes without trouble', () => {
    const memory = { ...freshMemory, readySinceMs: 0, restarts: 4 };
    expect(decide(wish, seen('running', 'ready'), memory, 599_000).memory.restarts).toBe(4);
    expect(decide(wish, seen('running', 'ready'), memory, 600_000).memory.restarts).toBe(0);
  });
  it('starts a model again that somebody killed while it loaded', () => {
    const killed = {
      ...seen('exited'),
      container: { id: 'c1', status: 'exited', specHash: 'a', createdAtMs: 0, killed: true },
    };
    expect(decide(wish, killed, { ...freshMemory, startedAtMs: 0 }, 5)).toMatchObject({
      state: 'starting',
      step: { do: 'remove' },
    });
  });
  it('gives a silent engine its time, then starts it anew', () => {
    const ready = decide(wish, seen('running', 'ready'), freshMemory, 1000);
    const first = decide(wish, seen('running', 'silent'), ready.memory, 21_000);
    const silent = decide(wish, seen('running', 'silent'), first.memory, 41_000);
    expect(silent).toMatchObject({
      state: 'unhealthy',
      step: { do: 'nothing' },
      reason: 'the engine has not answered for 20 s',
    });
    expect(decide(wish, seen('running', 'ready'), silent.memory, 42_000).state).toBe('ready');
    const hung = decide(wish, seen('running', 'silent'), silent.memory, 51_000);
    expect(hung).toMatchObject({ state: 'starting', step: { do: 'remove' } });
    expect(hung.memory.restarts).toBe(1);
  });
  it('lets a container of another specification serve while it may not be exchanged', () => {
    const held = { ...wish, mayReplace: false };
    expect(decide(held, seen('running', 'ready', 'old'), freshMemory, 0)).toMatchObject({
      state: 'ready',
      step: { do: 'nothing' },
    });
    expect(decide(held, seen('running', 'loading', 'old'), freshMemory, 0).step.do).toBe('remove');
  });
});
