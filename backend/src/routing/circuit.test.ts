import { describe, expect, it } from 'vitest';
import { Balancer } from './balancer.ts';
import { Circuit } from './circuit.ts';
import type { Endpoint } from './table.ts';

const failed = (circuit: Circuit, times: number, nowMs: number) => {
  for (let time = 0; time < times; time += 1) circuit.failed(circuit.begin(nowMs), nowMs, false);
};

describe('an endpoint', () => {
  it('is left alone after three failures in a row, and tried with one request later', () => {
    const circuit = new Circuit();
    failed(circuit, 2, 0);
    expect(circuit.allows(0)).toBe(true);
    failed(circuit, 1, 0);
    expect([circuit.allows(0), circuit.state(0)]).toEqual([false, 'open']);
    expect([circuit.allows(2000), circuit.state(2000)]).toEqual([true, 'half-open']);
    const trial = circuit.begin(2000);
    expect(circuit.allows(2000)).toBe(false);
    circuit.succeeded(trial);
    expect(circuit.state(2000)).toBe('closed');
  });

  it('is open to all as soon as the answer of its trial begins, however long that lasts', () => {
    const circuit = new Circuit();
    failed(circuit, 3, 0);
    const trial = circuit.begin(2000);
    circuit.answerBegun(trial);
    expect([circuit.allows(2000), circuit.state(2000)]).toEqual([true, 'closed']);
    circuit.failed(trial, 3000, false);
    expect(circuit.state(3000)).toBe('closed');
    failed(circuit, 2, 3000);
    expect(circuit.state(3000)).toBe('open');
  });

  it('is open to all when an active check finds it, though its trial still waits, but not before its time', () => {
    const circuit = new Circuit();
    failed(circuit, 3, 0);
    circuit.found(1999);
    expect(circuit.state(1999)).toBe('open');
    circuit.begin(2000);
    circuit.found(2001);
    expect([circuit.allows(2001), circuit.state(2001)]).toEqual([true, 'closed']);
  });

  it('is left alone for twice as long when the trial fails', () => {
    const circuit = new Circuit();
    failed(circuit, 3, 0);
    circuit.failed(circuit.begin(2000), 2000, false);
    expect([circuit.allows(5999), circuit.allows(6000)]).toEqual([false, true]);
  });

  it('is judged in its trial by the trial alone, not by requests that began before', () => {
    const circuit = new Circuit();
    const [first, second, third] = [circuit.begin(0), circuit.begin(0), circuit.begin(0)];
    failed(circuit, 3, 0);
    circuit.begin(2000);
    circuit.forgotten(first);
    expect(circuit.allows(2000)).toBe(false);
    circuit.failed(second, 2000, false);
    circuit.succeeded(third);
    expect([circuit.allows(2000), circuit.state(2000)]).toEqual([false, 'half-open']);
  });
});

describe('the balancer', () => {
  const endpoint = (id: string): Endpoint => ({ id, url: '', apiKey: null, model: '', ca: null, external: false });
  const three = ['a', 'b', 'c'].map(endpoint);
  const none: readonly string[] = [];

  it('asks where the least is under way', () => {
    const balancer = new Balancer();
    const ids = Array.from({ length: 6 }, () => balancer.acquire(three, null, none, 0)?.endpoint.id);
    expect(ids.sort()).toEqual(['a', 'a', 'b', 'b', 'c', 'c']);
  });

  it('asks an endpoint at once that was away and comes again, or has another address now', () => {
    const balancer = new Balancer();
    const [a] = three;
    if (a === undefined) throw new Error('there is none');
    const fail = () => {
      for (let number = 0; number < 3; number += 1) balancer.acquire([a], null, none, 0)?.release('bad');
      expect(balancer.acquire([a], null, none, Date.now())).toBeUndefined();
    };
    fail();
    expect(balancer.acquire([{ ...a, url: 'http://elsewhere' }], null, none, Date.now())).toBeDefined();
    balancer.keepOnly([]);
    fail();
    balancer.keepOnly([a]);
    expect(balancer.acquire([a], null, none, Date.now())).toBeUndefined();
    balancer.keepOnly([]);
    expect(balancer.acquire([a], null, none, Date.now())).toBeDefined();
  });

  it('asks one that only answers with errors when there is no better, and one that is silent never', () => {
    const balancer = new Balancer();
    const fail = (id: string, verdict: 'unwell' | 'bad') => {
      for (let number = 0; number < 3; number += 1) balancer.acquire([endpoint(id)], null, none, 0)?.release(verdict);
    };
    const asked = () => balancer.acquire(three, null, none, Date.now())?.endpoint.id;
    fail('a', 'unwell');
    fail('b', 'bad');
    expect(asked()).toBe('c');
    fail('c', 'bad');
    expect([asked(), asked()]).toEqual(['a', 'a']);
    expect(balancer.acquire(three, null, ['a'], Date.now())).toBeUndefined();
  });

  it('sends what has a session in common to one place, until that has more than its share', () => {
    const balancer = new Balancer();
    const alone = Array.from({ length: 5 }, () => {
      const lease = balancer.acquire(three, 'session 1', none, 0);
      lease?.release('good');
      return lease?.endpoint.id;
    });
    expect(new Set(alone).size).toBe(1);
    for (let number = 0; number < 9; number += 1) balancer.acquire(three, 'session 1', none, 0);
    expect(Math.max(...three.map(({ id }) => balancer.outstanding(id)))).toBeLessThanOrEqual(4);
  });

  it('moves only the requests of an endpoint that goes', () => {
    const balancer = new Balancer();
    const placeOf = (affinity: string, endpoints: readonly Endpoint[]) => {
      const lease = balancer.acquire(endpoints, affinity, none, 0);
      lease?.release('good');
      return lease?.endpoint.id;
    };
    for (let number = 0; number < 50; number += 1) {
      const before = placeOf(`s${number}`, three);
      if (before !== 'c') expect(placeOf(`s${number}`, three.slice(0, 2))).toBe(before);
    }
  });
});
