import { CortexError } from '../../../contract/errors.ts';
import type { LimitRequest, LimitStore } from '../gateway/limits.ts';
import type { Place, Queues } from '../gateway/queue.ts';
import type { RequestSeries } from '../gateway/request-tally.ts';
import type { RoutingTable } from '../routing/table.ts';
import type { ModelWaker } from '../routing/waker.ts';
import type { Answer, Ask, EnterAsk, Refusal, TakeAsk, WakeAsk } from './asks.ts';

export interface DeskOptions {
  readonly table: RoutingTable;
  readonly limits: LimitStore;
  readonly queues: Queues;
  readonly waker: ModelWaker;
  readonly onTally: (series: readonly RequestSeries[]) => void;
  readonly onRefused: (cause: string, count: number) => void;
}

/** Where the first process gives one worker what it asks for, and takes all of it back when that worker has died. */
export class Desk {
  readonly #options: DeskOptions;
  readonly #answer: (answer: Answer) => void;
  /** By the worker's slots. No Map: see gateway/time-limits. */
  readonly #taken: (LimitRequest | null)[] = [];
  readonly #waiting = new Map<number, AbortController>();
  readonly #places = new Map<number, Place>();
  #closed = false;

  constructor(options: DeskOptions, answer: (answer: Answer) => void) {
    this.#options = options;
    this.#answer = answer;
  }

  take(asks: readonly Ask[]): void {
    for (const ask of asks) {
      if (ask.ask === 'take') void this.#limits(ask);
      else if (ask.ask === 'settle') this.#settle(ask.slot, ask.usedTokens);
      else if (ask.ask === 'enter') void this.#enter(ask);
      else if (ask.ask === 'wake') void this.#wake(ask);
      else if (ask.ask === 'leave') this.#leave(ask.id);
      else if (ask.ask === 'refused')
        for (const [cause, count] of Object.entries(ask.counts)) this.#options.onRefused(cause, count);
      else this.#options.onTally(ask.series);
    }
  }

  close(): void {
    this.#closed = true;
    for (const waiting of this.#waiting.values()) waiting.abort();
    for (const place of this.#places.values()) place.leave();
    this.#places.clear();
    for (const request of this.#taken.splice(0)) if (request) this.#options.limits.settle(request, request.tokens);
  }

  async #limits({ id, slot, requestId, subjects, tokens, nowMs }: TakeAsk): Promise<void> {
    const { table, limits } = this.#options;
    // A limit that was removed a moment ago limits no more.
    const found = subjects.flatMap(([subject, name]) => table.limit(subject, name) ?? []);
    const request: LimitRequest = { requestId, limits: found, tokens, nowMs };
    try {
      const taking = limits.take(request);
      const answer = taking instanceof Promise ? await taking : taking;
      if (answer.allowed && this.#closed) limits.settle(request, tokens);
      else if (answer.allowed) this.#taken[slot] = request;
      this.#answer({ id, limits: answer });
    } catch {
      this.#answer({ id, limits: null });
    }
  }

  #settle(slot: number, usedTokens: number | null): void {
    const request = this.#taken[slot] ?? null;
    if (request === null) return;
    this.#taken[slot] = null;
    this.#options.limits.settle(request, usedTokens);
  }

  async #enter({ id, model, share, rules }: EnterAsk): Promise<void> {
    const left = new AbortController();
    this.#waiting.set(id, left);
    try {
      const entering = this.#options.queues.enter(model, share, rules, () => left.signal);
      const place = entering instanceof Promise ? await entering : entering;
      if (left.signal.aborted || this.#closed) place.leave();
      else this.#places.set(id, place);
      this.#answer({ id, place: { entered: true, position: place.position, waitedMs: place.waitedMs } });
    } catch (error) {
      this.#answer({ id, place: refused(error, rules.queueTimeoutMs, this.#options.queues.depth(model)) });
    } finally {
      this.#waiting.delete(id);
    }
  }

  async #wake({ id, model, rules }: WakeAsk): Promise<void> {
    const left = new AbortController();
    this.#waiting.set(id, left);
    const { table, waker, queues } = this.#options;
    try {
      await waker.wake(model, rules, left.signal);
      this.#answer({ id, woken: null });
    } catch (error) {
      const state = table.model(model)?.state ?? 'gone';
      const isUnready = error instanceof CortexError && error.code === 'model_not_ready';
      const woken: Refusal = isUnready
        ? { entered: false, code: 'model_not_ready', state, retryAfterSeconds: error.retryAfterSeconds ?? 1 }
        : refused(error, rules.queueTimeoutMs, queues.depth(model));
      this.#answer({ id, woken });
    } finally {
      this.#waiting.delete(id);
    }
  }

  #leave(id: number): void {
    this.#waiting.get(id)?.abort();
    this.#places.get(id)?.leave();
    this.#places.delete(id);
  }
}

function refused(error: unknown, queueTimeoutMs: number, waiting: number): Refusal {
  if (!(error instanceof CortexError)) return { entered: false, code: 'internal_error' };
  const retryAfterSeconds = error.retryAfterSeconds ?? 1;
  if (error.code === 'queue_full') return { entered: false, code: 'queue_full', waiting, retryAfterSeconds };
  return { entered: false, code: 'queue_timeout', seconds: queueTimeoutMs / 1000, retryAfterSeconds };
}
