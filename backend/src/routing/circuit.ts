const failuresToOpen = 3;
const firstOpenMs = 2_000;
const longestOpenMs = 60_000;

export type CircuitState = 'closed' | 'open' | 'half-open';

/**
 * Whether an endpoint is worth asking. After three failures in a row it is left alone for a while; then one request is let
 * through, and its end decides. Each time that it fails the while doubles, up to a minute.
 */
export class Circuit {
  #failures = 0;
  #openUntilMs = 0;
  #openMs = firstOpenMs;
  #trying = false;

  state(nowMs: number): CircuitState {
    if (this.#openUntilMs === 0) return 'closed';
    return nowMs >= this.#openUntilMs ? 'half-open' : 'open';
  }

  /** May a request be sent now? */
  allows(nowMs: number): boolean {
    const state = this.state(nowMs);
    return state === 'closed' || (state === 'half-open' && !this.#trying);
  }

  /** A request is sent. */
  begin(nowMs: number): void {
    if (this.state(nowMs) === 'half-open') this.#trying = true;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#openUntilMs = 0;
    this.#openMs = firstOpenMs;
    this.#trying = false;
  }

  failed(nowMs: number): void {
    this.#failures += 1;
    const wasTrying = this.#trying;
    this.#trying = false;
    if (this.#failures < failuresToOpen && !wasTrying) return;
    if (wasTrying) this.#openMs = Math.min(this.#openMs * 2, longestOpenMs);
    this.#openUntilMs = nowMs + this.#openMs;
  }

  /** The request ended without telling anything of the endpoint: its client had left. */
  forgotten(): void {
    this.#trying = false;
  }
}
