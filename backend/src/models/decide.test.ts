import { describe, expect, it } from 'vitest';
import { decide, freshMemory, type Observed, restartLimit } from './decide.ts';

const wish = { wanted: 'running', specHash: 'a', startTimeoutMs: 60_000 } as const;
const seen = (status: string | null, probe: Observed['probe'] = null, specHash = 'a'): Observed => ({
  container: status === null ? null : { id: 'c1', status, specHash },
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
    let memory = { ...freshMemory, startedAtMs: 0, wasReady: true };
    for (let round = 0; round < restartLimit; round += 1) {
      const decision = decide(wish, seen('exited'), memory, 100);
      expect(decision).toMatchObject({ step: { do: 'remove' }, state: 'starting' });
      expect(decide(wish, seen(null), decision.memory, 101).step).toEqual({ do: 'nothing' });
      expect(decide(wish, seen(null), decision.memory, decision.memory.retryAtMs).step).toEqual({ do: 'create' });
      memory = { ...decision.memory, startedAtMs: 0, wasReady: true };
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
});
