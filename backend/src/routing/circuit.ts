const failuresToOpen = 3;
const firstOpenMs = 2_000;
const longestOpenMs = 60_000;

export type CircuitState = 'closed' | 'open' | 'half-open';

/**
 * Whether an endpoint is worth asking. After three failures in a row it is left alone for a while; then one request is let
 * through, and it alone decides: those that began before speak of another time. That its answer begins is enough, as a
 * stream may last for minutes. Each time that it fails the while doubles, up to a minute.
 */
export class Circuit {
  #failures = 0;
  #answered = false;
  #openUntilMs = 0;
  #openMs = firstOpenMs;
  #begun = 0;
  /** The request that decides; 0 is none. */
  #trial = 0;

  state(nowMs: number): CircuitState {
    if (this.#openUntilMs === 0) return 'closed';
    return nowMs >= this.#openUntilMs ? 'half-open' : 'open';
  }

  /** May a request be sent now? */
  allows(nowMs: number): boolean {
    const state = this.state(nowMs);
    return state === 'closed' || (state === 'half-open' && this.#trial === 0);
  }

  /** It failed last with an answer of its own, not by silence. */
  get answers(): boolean {
    return this.#answered;
  }

  /** An active check found it: others need not wait for the trial to end. */
  found(nowMs: number): void {
    if (this.state(nowMs) !== 'open') this.#close();
  }

  /** A request is sent. How it ends is one of `succeeded`, `failed` and `forgotten`, once. @returns its number */
  begin(nowMs: number): number {
    this.#begun += 1;
    if (this.#trial === 0 && this.state(nowMs) === 'half-open') this.#trial = this.#begun;
    return this.#begun;
  }

  /** Its answer has begun. */
  answerBegun(request: number): void {
    if (this.#trial === request) this.#close();
  }

  succeeded(request: number): void {
    if (this.#counts(request)) this.#close();
  }

  /** @param answered with an error: somebody is there */
  failed(request: number, nowMs: number, answered: boolean): void {
    if (!this.#counts(request)) return;
    this.#answered = answered;
    this.#failures += 1;
    const wasTrial = this.#trial === request;
    this.#trial = 0;
    if (this.#failures < failuresToOpen && !wasTrial) return;
    if (wasTrial) this.#openMs = Math.min(this.#openMs * 2, longestOpenMs);
    this.#openUntilMs = nowMs + this.#openMs;
  }

  /** It told nothing of the endpoint: its client had left. */
  forgotten(request: number): void {
    if (this.#trial === request) this.#trial = 0;
  }

  /** While the circuit is not closed, only its trial tells something new. */
  #counts(request: number): boolean {
    return this.#openUntilMs === 0 || this.#trial === request;
  }

  #close(): void {
    this.#failures = 0;
    this.#openUntilMs = 0;
    this.#openMs = firstOpenMs;
    this.#trial = 0;
  }
}
