const failuresToOpen = 3;
const firstOpenMs = 2_000;
const longestOpenMs = 60_000;

export type CircuitState = 'closed' | 'open' | 'half-open';

/** One request at the endpoint. How it ended is one of the last three, once. */
export interface Attempt {
  /** Its answer has begun. */
  begun(): void;
  succeeded(): void;
  /** @param answered with an error: somebody is there */
  failed(nowMs: number, answered: boolean): void;
  /** It told nothing of the endpoint: its client had left. */
  forgotten(): void;
}

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
  #trial: Attempt | null = null;

  state(nowMs: number): CircuitState {
    if (this.#openUntilMs === 0) return 'closed';
    return nowMs >= this.#openUntilMs ? 'half-open' : 'open';
  }

  /** May a request be sent now? */
  allows(nowMs: number): boolean {
    const state = this.state(nowMs);
    return state === 'closed' || (state === 'half-open' && this.#trial === null);
  }

  /** It failed last with an answer of its own, not by silence. */
  get answers(): boolean {
    return this.#answered;
  }

  /** An active check found it: others need not wait for the trial to end. */
  found(nowMs: number): void {
    if (this.state(nowMs) !== 'open') this.#close();
  }

  /** A request is sent. */
  begin(nowMs: number): Attempt {
    const attempt: Attempt = {
      begun: () => {
        if (this.#trial === attempt) this.#close();
      },
      succeeded: () => {
        if (this.#counts(attempt)) this.#close();
      },
      failed: (atMs, answered) => {
        if (!this.#counts(attempt)) return;
        this.#answered = answered;
        this.#failed(attempt, atMs);
      },
      forgotten: () => {
        if (this.#trial === attempt) this.#trial = null;
      },
    };
    if (this.state(nowMs) === 'half-open' && this.#trial === null) this.#trial = attempt;
    return attempt;
  }

  /** While the circuit is not closed, only its trial tells something new. */
  #counts(attempt: Attempt): boolean {
    return this.#openUntilMs === 0 || this.#trial === attempt;
  }

  #close(): void {
    this.#failures = 0;
    this.#openUntilMs = 0;
    this.#openMs = firstOpenMs;
    this.#trial = null;
  }

  #failed(attempt: Attempt, nowMs: number): void {
    this.#failures += 1;
    const wasTrial = this.#trial === attempt;
    this.#trial = null;
    if (this.#failures < failuresToOpen && !wasTrial) return;
    if (wasTrial) this.#openMs = Math.min(this.#openMs * 2, longestOpenMs);
    this.#openUntilMs = nowMs + this.#openMs;
  }
}
