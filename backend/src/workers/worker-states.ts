import type { Balancer } from '../routing/balancer.ts';
import type { WorkerState } from './messages.ts';

/** How the workers did when they told last, which is at most a second ago, together with this process. */
export class WorkerStates {
  readonly #balancer: Balancer;
  readonly #states = new Map<number, WorkerState>();

  constructor(balancer: Balancer) {
    this.#balancer = balancer;
  }

  /** @param state null where the worker is gone */
  heard(slot: number, state: WorkerState | null): void {
    if (state === null) this.#states.delete(slot);
    else this.#states.set(slot, state);
  }

  /** Requests under way at a model whose places nobody counts. */
  running(model: string): number {
    return this.#sum((state) => state.running[model] ?? 0);
  }

  /** Requests under way at an endpoint. */
  outstanding(endpointId: string): number {
    return this.#balancer.outstanding(endpointId) + this.#sum((state) => state.outstanding[endpointId] ?? 0);
  }

  /** Whether any process leaves the endpoint alone after failures. */
  isLeftAlone(endpointId: string, nowMs: number): boolean {
    if (this.#balancer.state(endpointId, nowMs) === 'open') return true;
    return [...this.#states.values()].some((state) => state.leftAlone.includes(endpointId));
  }

  #sum(count: (state: WorkerState) => number): number {
    return [...this.#states.values()].reduce((sum, state) => sum + count(state), 0);
  }
}
