/** Hands each change to everyone who listens. A listener that does not read is cut off rather than remembered for. */
export class ChangeFeed<T> {
  readonly #listeners = new Set<(change: T) => void>();

  publish(change: T): void {
    for (const listener of this.#listeners) listener(change);
  }

  /** Changes from now on, until the signal. */
  async *follow(signal: AbortSignal): AsyncGenerator<T> {
    const waiting: T[] = [];
    let wake: () => void = () => undefined;
    const listener = (change: T) => {
      waiting.push(change);
      if (waiting.length > mostWaiting) this.#listeners.delete(listener);
      wake();
    };
    const onAbort = () => wake();
    signal.addEventListener('abort', onAbort);
    this.#listeners.add(listener);
    try {
      while (!signal.aborted && (waiting.length > 0 || this.#listeners.has(listener))) {
        const next = waiting.shift();
        if (next !== undefined) yield next;
        else {
          await new Promise<void>((resolve) => {
            wake = resolve;
            if (signal.aborted) resolve();
          });
        }
      }
    } finally {
      this.#listeners.delete(listener);
      signal.removeEventListener('abort', onAbort);
    }
  }
}

const mostWaiting = 1000;
