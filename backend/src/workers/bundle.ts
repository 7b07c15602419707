/** Gathers what is to be sent in one turn of the event loop. */
export class Bundle<T> {
  readonly #send: (all: readonly T[]) => void;
  #waiting: T[] = [];

  constructor(send: (all: readonly T[]) => void) {
    this.#send = send;
  }

  add(one: T): void {
    if (this.#waiting.length === 0) setImmediate(() => this.#send(this.#waiting.splice(0)));
    this.#waiting.push(one);
  }
}
