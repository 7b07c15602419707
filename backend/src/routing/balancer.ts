import { createHash } from 'node:crypto';
import { Circuit, type CircuitState } from './circuit.ts';
import type { Endpoint } from './table.ts';

/** How a request at an endpoint ended, for the endpoint's health. `unwell`: it answered, with an error of its own. */
export type Verdict = 'good' | 'unwell' | 'bad' | 'unknown';

interface Watched {
  readonly url: string;
  outstanding: number;
  readonly circuit: Circuit;
}

/** A request at an endpoint. */
export class Lease {
  readonly endpoint: Endpoint;
  readonly #watched: Watched;
  readonly #request: number;

  constructor(endpoint: Endpoint, watched: Watched, nowMs: number) {
    this.endpoint = endpoint;
    this.#watched = watched;
    this.#request = watched.circuit.begin(nowMs);
    watched.outstanding += 1;
  }

  /** The answer has begun. */
  begun(): void {
    this.#watched.circuit.answerBegun(this.#request);
  }

  /** Once, when the request has ended. */
  release(verdict: Verdict): void {
    const { circuit } = this.#watched;
    this.#watched.outstanding -= 1;
    if (verdict === 'good') circuit.succeeded(this.#request);
    else if (verdict === 'unknown') circuit.forgotten(this.#request);
    else circuit.failed(this.#request, Date.now(), verdict === 'unwell');
  }
}

/** A request follows its session or its prefix as long as that endpoint has at most so much more than its share. */
const affinityLoadCap = 1.25;

/** Chooses among the endpoints of a model. One for all models of a process. */
export class Balancer {
  readonly #watched = new Map<string, Watched>();

  /**
   * The endpoint for a request: the one that its affinity names while that has not much more than its share, else the one
   * with the fewest requests under way. Undefined where no endpoint is worth asking now. One that answers with errors is asked
   * where there is no better: the fault may lie in what one client sends, and must not shut out the others.
   * @param affinity what requests have in common that should meet the same cache; null is nothing
   * @param tried ids of endpoints that did not take this request
   */
  acquire(
    endpoints: readonly Endpoint[],
    affinity: string | null,
    tried: readonly string[],
    nowMs: number,
  ): Lease | undefined {
    const [only] = endpoints;
    // Most models have but one, and most requests are asked of it once.
    if (only !== undefined && endpoints.length === 1 && tried.length === 0) {
      const watched = this.#of(only);
      if (watched.circuit.allows(nowMs)) return new Lease(only, watched, nowMs);
    }
    const untried = endpoints.filter((endpoint) => !tried.includes(endpoint.id));
    const allowed = untried.filter((endpoint) => this.#of(endpoint).circuit.allows(nowMs));
    const open = allowed.length > 0 ? allowed : untried.filter((endpoint) => this.#of(endpoint).circuit.answers);
    const first = open[0];
    if (first === undefined) return undefined;
    const chosen = open.length === 1 ? first : this.#choose(open, affinity);
    return new Lease(chosen, this.#of(chosen), nowMs);
  }

  outstanding(endpointId: string): number {
    return this.#watched.get(endpointId)?.outstanding ?? 0;
  }

  state(endpointId: string, nowMs: number): CircuitState {
    return this.#watched.get(endpointId)?.circuit.state(nowMs) ?? 'closed';
  }

  /** Requests under way, by endpoint, and the endpoints that are not asked after failures. */
  report(nowMs: number): { outstanding: Record<string, number>; leftAlone: string[] } {
    const watched = [...this.#watched];
    const busy = watched.filter(([, { outstanding }]) => outstanding > 0);
    return {
      outstanding: Object.fromEntries(busy.map(([id, { outstanding }]) => [id, outstanding])),
      leftAlone: watched.filter(([, { circuit }]) => circuit.state(nowMs) === 'open').map(([id]) => id),
    };
  }

  /** What an active check found. */
  checked(endpoint: Endpoint, isGood: boolean, nowMs: number): void {
    const { circuit } = this.#of(endpoint);
    if (isGood) circuit.found(nowMs);
    else if (circuit.allows(nowMs)) circuit.failed(circuit.begin(nowMs), nowMs, false);
  }

  #choose(endpoints: readonly Endpoint[], affinity: string | null): Endpoint {
    const load = (endpoint: Endpoint) => this.#of(endpoint).outstanding;
    const least = endpoints.reduce((best, other) => (load(other) < load(best) ? other : best));
    if (affinity === null) return least;
    const total = endpoints.reduce((sum, endpoint) => sum + load(endpoint), 0);
    const cap = Math.max(1, Math.floor((affinityLoadCap * (total + 1)) / endpoints.length));
    const preferred = rendezvous(endpoints, affinity);
    return preferred !== undefined && load(preferred) < cap ? preferred : least;
  }

  /** Forgets the others: an engine that was away and comes again under its name is asked at once. */
  keepOnly(endpoints: Iterable<Endpoint>): void {
    const kept = new Set([...endpoints].map(({ id }) => id));
    for (const id of this.#watched.keys()) if (!kept.has(id)) this.#watched.delete(id);
  }

  #of({ id, url }: Endpoint): Watched {
    const known = this.#watched.get(id);
    if (known?.url === url) return known;
    const fresh = { url, outstanding: 0, circuit: new Circuit() };
    this.#watched.set(id, fresh);
    return fresh;
  }
}

/** Highest-random-weight hashing: when an endpoint goes, only its own requests move. */
function rendezvous(endpoints: readonly Endpoint[], affinity: string): Endpoint | undefined {
  let best: Endpoint | undefined;
  let bestWeight = '';
  for (const endpoint of endpoints) {
    const weight = createHash('sha256').update(`${endpoint.id}\n${affinity}`).digest('hex');
    if (weight > bestWeight) [best, bestWeight] = [endpoint, weight];
  }
  return best;
}
