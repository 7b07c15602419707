import type { LimitSubject } from '../../../contract/routing.ts';
import type { LimitAnswer } from '../gateway/limits.ts';
import type { QueueRules } from '../gateway/queue.ts';
import type { RequestSeries } from '../gateway/request-tally.ts';
import type { WakeRules } from '../routing/waker.ts';

/*
 * What workers ask of the first process for each request. All of one turn of the event loop goes in one message: a message
 * costs some 20 µs on either side whatever is in it.
 */

/** A request's limits, named: the first process has the table as well. */
export interface TakeAsk {
  readonly ask: 'take';
  readonly id: number;
  /** Of what the worker has taken; free again when that is settled or was refused. */
  readonly slot: number;
  readonly requestId: string;
  readonly subjects: readonly (readonly [LimitSubject, string])[];
  readonly tokens: number;
  readonly nowMs: number;
}

export interface EnterAsk {
  readonly ask: 'enter';
  readonly id: number;
  readonly model: string;
  readonly share: string;
  readonly rules: QueueRules;
}

export interface WakeAsk {
  readonly ask: 'wake';
  readonly id: number;
  readonly model: string;
  readonly rules: WakeRules;
}

export type Ask =
  | TakeAsk
  | WakeAsk
  | { readonly ask: 'settle'; readonly slot: number; readonly usedTokens: number | null }
  | EnterAsk
  /** Gives the place back, or waits for it no more. */
  | { readonly ask: 'leave'; readonly id: number }
  /** How many requests never came to a model, by the code of the error; this and the next are for the metrics. */
  | { readonly ask: 'refused'; readonly counts: Readonly<Record<string, number>> }
  /** What requests have come to since the last one; their records are in the worker's journal already. */
  | { readonly ask: 'tally'; readonly series: readonly RequestSeries[] };

export type PlaceAnswer =
  | { readonly entered: true; readonly position: number; readonly waitedMs: number }
  | {
      readonly entered: false;
      readonly code: 'queue_full';
      readonly waiting: number;
      readonly retryAfterSeconds: number;
    }
  | {
      readonly entered: false;
      readonly code: 'queue_timeout';
      readonly seconds: number;
      readonly retryAfterSeconds: number;
    }
  | {
      readonly entered: false;
      readonly code: 'model_not_ready';
      readonly state: string;
      readonly retryAfterSeconds: number;
    }
  | { readonly entered: false; readonly code: 'internal_error' };

export type Refusal = Extract<PlaceAnswer, { entered: false }>;

export type Answer =
  /** Null where the limits can't be checked. */
  | { readonly id: number; readonly limits: LimitAnswer | null }
  | { readonly id: number; readonly place: PlaceAnswer }
  /** Null where the model is loaded. */
  | { readonly id: number; readonly woken: Refusal | null };
