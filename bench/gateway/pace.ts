interface Beat {
  dueMs: number;
  /** Gives false when it was the last time. */
  readonly act: () => boolean;
}

/** Calls back thousands of streams at their pace from one timer: a timer for each would cost more than the streams. */
export class Pace {
  /** By period: within one the order of being due is the order of coming, so only the front is looked at. */
  readonly #queues = new Map<number, Beat[]>();
  #timer: NodeJS.Timeout | null = null;

  every(periodMs: number, act: () => boolean): void {
    const queue = this.#queues.get(periodMs) ?? [];
    this.#queues.set(periodMs, queue);
    queue.push({ dueMs: performance.now() + periodMs, act });
    this.#timer ??= setInterval(() => this.#beat(), 1);
  }

  #beat(): void {
    for (const [periodMs, queue] of this.#queues) {
      const nowMs = performance.now();
      let due = 0;
      for (let beat = queue[due]; beat !== undefined && beat.dueMs <= nowMs; beat = queue[due]) {
        due += 1;
        if (!beat.act()) continue;
        // What is late is not made up for: events in a burst would come together, and cost a gateway less than they should.
        beat.dueMs = nowMs - beat.dueMs > periodMs / 2 ? nowMs + periodMs : beat.dueMs + periodMs;
        queue.push(beat);
      }
      queue.splice(0, due);
      if (queue.length === 0) this.#queues.delete(periodMs);
    }
    if (this.#queues.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}
