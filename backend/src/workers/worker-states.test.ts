import { describe, expect, it } from 'vitest';
import { Balancer } from '../routing/balancer.ts';
import type { Endpoint } from '../routing/table.ts';
import type { WorkerState } from './messages.ts';
import { WorkerStates } from './worker-states.ts';

const endpoint: Endpoint = { id: 'e', url: 'http://127.0.0.1:1', apiKey: null, model: 'm', ca: null, external: true };
const journal = { ok: true, waiting: 0, dropped: 0 };
const idle: WorkerState = { journal, running: {}, outstanding: {}, leftAlone: [] };

describe('what all processes do together', () => {
  it('is the sum of what they tell, and of this process', () => {
    const balancer = new Balancer();
    const states = new WorkerStates(balancer);
    states.heard(0, { ...idle, running: { m: 2 }, outstanding: { e: 3 } });
    states.heard(1, { ...idle, running: { m: 1, n: 4 }, outstanding: { e: 1, f: 9 } });
    const lease = balancer.acquire([endpoint], null, [], 0);
    expect([states.running('m'), states.outstanding('e')]).toEqual([3, 5]);
    lease?.release('unknown');
    expect(states.outstanding('e')).toBe(4);
  });

  it('is without a worker that is gone', () => {
    const states = new WorkerStates(new Balancer());
    states.heard(0, { ...idle, running: { m: 2 }, outstanding: { e: 3 }, leftAlone: ['e'] });
    states.heard(0, null);
    expect([states.running('m'), states.outstanding('e'), states.isLeftAlone('e', 0)]).toEqual([0, 0, false]);
  });

  it('leaves an endpoint alone where one of them does, or this process', () => {
    const balancer = new Balancer();
    const states = new WorkerStates(balancer);
    states.heard(0, idle);
    expect(states.isLeftAlone('e', 0)).toBe(false);
    states.heard(1, { ...idle, leftAlone: ['e'] });
    expect(states.isLeftAlone('e', 0)).toBe(true);
    for (let failure = 0; failure < 10; failure += 1) balancer.checked({ ...endpoint, id: 'own' }, false, 0);
    expect(states.isLeftAlone('own', 0)).toBe(true);
    expect(balancer.report(0).leftAlone).toEqual(['own']);
  });
});
