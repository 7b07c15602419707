import { CortexError } from '../../../contract/errors.ts';

export interface QueueRules {
  /** Null: as many as come. */
  readonly maxConcurrent: number | null;
  readonly queueLimit: number;
  readonly queueTimeoutMs: number;
}

/** A place among the requests that a model answers. */
export interface Place {
  /** How many were before it when it came; 0 where it did not wait. */
  readonly position: number;
  readonly waitedMs: number;
  /** Once, when the request has ended. */
  leave(): void;
}

/** Gives places at models. */
export interface ModelQueues {
  /**
   * @param share whose turn it uses: the key's id
   * @param gone gives what aborts where the client leaves while it waits
   * @throws CortexError queue_full at once, queue_timeout
   */
  enter(model: string, share: string, rules: QueueRules, gone: () => AbortSignal): Place | Promise<Place>;
}

interface Waiting {
  readonly admit: () => void;
}

interface ModelQueue {
  running: number;
  waiting: number;
  rules: QueueRules;
  /** Of each key what waits, in order; the key whose turn is next stands first. */
  readonly shares: Map<string, Waiting[]>;
  /** How long a place is held, smoothed: what Retry-After is guessed from. */
  heldMs: number;
}

/**
 * Places at the models. Each model answers so many requests at a time; the others wait, and keys take turns, so that one with
 * a thousand requests does not keep out one with a single request.
 */
export class Queues implements ModelQueues {
  readonly #models = new Map<string, ModelQueue>();

  /** Requests that wait for the model. */
  depth(model: string): number {
    return this.#models.get(model)?.waiting ?? 0;
  }

  running(model: string): number {
    return this.#models.get(model)?.running ?? 0;
  }

  /** Of every model that has any. */
  allRunning(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#models].map(([model, { running }]) => [model, running]));
  }

  enter(model: string, share: string, rules: QueueRules, gone: () => AbortSignal): Place | Promise<Place> {
    const queue = this.#of(model, rules);
    if (queue.waiting === 0 && hasRoom(queue)) return this.#place(model, queue, 0, Date.now());
    if (queue.waiting >= rules.queueLimit) {
      const seconds = retryAfterSeconds(queue, queue.waiting + 1);
      throw new CortexError('queue_full', { model, waiting: queue.waiting }, { retryAfterSeconds: seconds });
    }
    const leaving = gone();
    // An abort that has been tells no listener: such a request would wait for nobody.
    if (leaving.aborted) throw new Error('the client has gone');
    return this.#wait(model, queue, share, leaving);
  }

  #wait(model: string, queue: ModelQueue, share: string, gone: AbortSignal): Promise<Place> {
    const cameAtMs = Date.now();
    const position = queue.waiting + 1;
    return new Promise((resolve, reject) => {
      const end = (act: () => void) => {
        clearTimeout(timer);
        gone.removeEventListener('abort', left);
        queue.waiting -= 1;
        act();
      };
      const waiting: Waiting = { admit: () => end(() => resolve(this.#place(model, queue, position, cameAtMs))) };
      const drop = () => {
        const line = queue.shares.get(share) ?? [];
        const others = line.filter((other) => other !== waiting);
        if (others.length > 0) queue.shares.set(share, others);
        else queue.shares.delete(share);
      };
      const left = () => {
        drop();
        end(() => reject(new Error('the client has gone')));
      };
      const tooLong = () => {
        drop();
        const seconds = queue.rules.queueTimeoutMs / 1000;
        const again = { retryAfterSeconds: retryAfterSeconds(queue, queue.waiting) };
        end(() => reject(new CortexError('queue_timeout', { model, seconds }, again)));
      };
      const limitMs = queue.rules.queueTimeoutMs;
      const timer = limitMs > 0 ? setTimeout(tooLong, limitMs) : undefined;
      gone.addEventListener('abort', left, { once: true });
      queue.waiting += 1;
      const line = queue.shares.get(share);
      if (line === undefined) queue.shares.set(share, [waiting]);
      else line.push(waiting);
    });
  }

  #place(model: string, queue: ModelQueue, position: number, cameAtMs: number): Place {
    queue.running += 1;
    return new QueuePlace(this, model, queue, position, cameAtMs);
  }

  /** Whoever held a place has left it. */
  left(model: string, queue: ModelQueue, heldMs: number): void {
    queue.running -= 1;
    queue.heldMs += (heldMs - queue.heldMs) * 0.2;
    this.#next(queue);
    if (queue.running === 0 && queue.waiting === 0) this.#models.delete(model);
  }

  #next(queue: ModelQueue): void {
    while (hasRoom(queue)) {
      const [turn] = queue.shares;
      if (turn === undefined) return;
      const [share, line] = turn;
      const next = line.shift();
      // To the end of the round.
      queue.shares.delete(share);
      if (line.length > 0) queue.shares.set(share, line);
      next?.admit();
    }
  }

  #of(model: string, rules: QueueRules): ModelQueue {
    const known = this.#models.get(model);
    if (known !== undefined) {
      known.rules = rules;
      // The rules may give more places now than when the others came.
      this.#next(known);
      return known;
    }
    const queue = { running: 0, waiting: 0, rules, shares: new Map(), heldMs: 0 };
    this.#models.set(model, queue);
    return queue;
  }
}

class QueuePlace implements Place {
  readonly position: number;
  readonly waitedMs: number;
  readonly #queues: Queues;
  readonly #model: string;
  readonly #queue: ModelQueue;
  readonly #enteredAtMs = Date.now();

  constructor(queues: Queues, model: string, queue: ModelQueue, position: number, cameAtMs: number) {
    this.#queues = queues;
    this.#model = model;
    this.#queue = queue;
    this.position = position;
    this.waitedMs = this.#enteredAtMs - cameAtMs;
  }

  leave(): void {
    this.#queues.left(this.#model, this.#queue, Date.now() - this.#enteredAtMs);
  }
}

const hasRoom = ({ running, rules }: ModelQueue) => rules.maxConcurrent === null || running < rules.maxConcurrent;

function retryAfterSeconds({ heldMs, rules }: ModelQueue, before: number): number {
  const turns = before / (rules.maxConcurrent ?? 1);
  return Math.min(60, Math.max(1, Math.ceil((turns * heldMs) / 1000)));
}
