import { CortexError } from '../../../contract/errors.ts';
import type { LimitAnswer, LimitRequest, LimitStore } from '../gateway/limits.ts';
import { type ModelQueues, type Place, type QueueRules, Queues } from '../gateway/queue.ts';
import type { ModelWaker, WakeRules } from '../routing/waker.ts';
import type { Answer, Ask, Refusal } from './asks.ts';

/** What a worker shares with the others: limits and the places at models are the first process's to give. */
export class SharedLimits implements LimitStore {
  readonly #asked: Asked;
  readonly #freeSlots: number[] = [];
  #slots = 0;

  constructor(asked: Asked) {
    this.#asked = asked;
  }

  async take(request: LimitRequest): Promise<LimitAnswer> {
    const { requestId, limits, tokens, nowMs } = request;
    const subjects = limits.map(({ subject, id }) => [subject, id] as const);
    const slot = this.#freeSlots.pop() ?? this.#slots++;
    const answer = await this.#asked.ask((id) => ({ ask: 'take', id, slot, requestId, subjects, tokens, nowMs }));
    const told = 'limits' in answer ? answer.limits : null;
    if (told?.allowed) request.slot = slot;
    else this.#freeSlots.push(slot);
    if (told === null) throw new CortexError('limits_unavailable', {}, { retryAfterSeconds: 1 });
    return told;
  }

  settle({ slot }: LimitRequest, usedTokens: number | null): void {
    if (slot === undefined) return;
    this.#asked.tell({ ask: 'settle', slot, usedTokens });
    this.#freeSlots.push(slot);
  }
}

export class SharedQueues implements ModelQueues {
  readonly #asked: Asked;
  /** Models that answer as many as come need nobody's leave. */
  readonly #unlimited = new Queues();

  constructor(asked: Asked) {
    this.#asked = asked;
  }

  /** Of those models the requests that are under way here. */
  get running(): Readonly<Record<string, number>> {
    return this.#unlimited.allRunning();
  }

  enter(model: string, share: string, rules: QueueRules, gone: () => AbortSignal): Place | Promise<Place> {
    if (rules.maxConcurrent === null) return this.#unlimited.enter(model, share, rules, gone);
    return this.#enter(model, share, rules, gone());
  }

  async #enter(model: string, share: string, rules: QueueRules, gone: AbortSignal): Promise<Place> {
    let id = 0;
    const leave = () => this.#asked.tell({ ask: 'leave', id });
    const answering = this.#asked.ask((given) => {
      id = given;
      return { ask: 'enter', id, model, share, rules };
    });
    gone.addEventListener('abort', leave, { once: true });
    const answer = await answering.finally(() => gone.removeEventListener('abort', leave));
    if (!('place' in answer) || gone.aborted) throw new Error('the client has gone');
    const { place } = answer;
    if (!place.entered) throw refusal(model, place);
    return { position: place.position, waitedMs: place.waitedMs, leave };
  }
}

/** Models are loaded by the first process; where the client leaves, it is told so. */
export class SharedWaker implements ModelWaker {
  readonly #asked: Asked;

  constructor(asked: Asked) {
    this.#asked = asked;
  }

  async wake(model: string, rules: WakeRules, gone: AbortSignal): Promise<void> {
    if (gone.aborted) throw new Error('the client has gone');
    let id = 0;
    const leave = () => this.#asked.tell({ ask: 'leave', id });
    const answering = this.#asked.ask((given) => {
      id = given;
      return { ask: 'wake', id, model, rules };
    });
    gone.addEventListener('abort', leave, { once: true });
    const answer = await answering.finally(() => gone.removeEventListener('abort', leave));
    if (!('woken' in answer) || gone.aborted) throw new Error('the client has gone');
    if (answer.woken !== null) throw refusal(model, answer.woken);
  }
}

function refusal(model: string, place: Refusal): Error {
  // The gateway names the request to its client.
  if (place.code === 'internal_error') return new Error('the first process could not give a place');
  const { retryAfterSeconds } = place;
  if (place.code === 'model_not_ready')
    return new CortexError('model_not_ready', { model, state: place.state }, { retryAfterSeconds });
  if (place.code === 'queue_full')
    return new CortexError('queue_full', { model, waiting: place.waiting }, { retryAfterSeconds });
  return new CortexError('queue_timeout', { model, seconds: place.seconds }, { retryAfterSeconds });
}

/** What was asked and is not answered yet. */
export class Asked {
  readonly #send: (ask: Ask) => void;
  /** In the order of asking, in which nearly all are answered. No Map: see gateway/time-limits. */
  readonly #waiting: { readonly id: number; readonly resolve: (answer: Answer) => void }[] = [];
  #id = 0;

  constructor(send: (ask: Ask) => void) {
    this.#send = send;
  }

  tell(ask: Ask): void {
    this.#send(ask);
  }

  ask(make: (id: number) => Ask): Promise<Answer> {
    this.#id += 1;
    const id = this.#id;
    return new Promise((resolve) => {
      this.#waiting.push({ id, resolve });
      this.#send(make(id));
    });
  }

  answered(answers: readonly Answer[]): void {
    for (const answer of answers) {
      const at = this.#waiting.findIndex(({ id }) => id === answer.id);
      if (at !== -1) this.#waiting.splice(at, 1)[0]?.resolve(answer);
    }
  }
}
