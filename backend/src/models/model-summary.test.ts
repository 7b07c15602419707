import { describe, expect, it } from 'vitest';
import type { ModelState } from '../../../contract/models.ts';
import { summarise } from './model-summary.ts';

const of = (...states: (ModelState | [ModelState, string])[]) =>
  states.map((one, replica) => {
    const [state, reason] = Array.isArray(one) ? one : [one, null];
    return { replica, state, reason, hint: null, cause: null };
  });

describe('a model that is to run', () => {
  it.each<[string, Parameters<typeof of>, ModelState, string | null]>([
    ['is ready where all its replicas are', ['ready', 'ready'], 'ready', null],
    [
      'is ready where one is, and says what the other does',
      ['ready', ['loading', 'reading']],
      'ready',
      '1 of 2 replicas serve; replica 1: loading, reading',
    ],
    ['is what its nearest replica is', ['failed', ['loading', 'reading']], 'loading', 'reading'],
    ['has failed where all have', [['failed', 'no file'], 'failed'], 'failed', 'no file'],
    ['is unhealthy where one was ready and is silent', ['starting', ['unhealthy', 'silent']], 'unhealthy', 'silent'],
    ['starts where nothing is known of it', [], 'starting', null],
    ['does not count what is on its way out', ['ready', 'stopped'], 'ready', null],
  ])('%s', (_what, replicas, state, reason) => {
    expect(summarise('running', of(...replicas))).toEqual({ state, reason, hint: null, cause: null });
  });
});

describe('a model that is to stop', () => {
  it('is stopping until no replica is left', () => {
    expect(summarise('stopped', of('stopped', ['stopping', '2 requests are open']))).toMatchObject({
      state: 'stopping',
      reason: '2 requests are open',
    });
    expect(summarise('stopped', of('stopped', 'stopped')).state).toBe('stopped');
  });
});
