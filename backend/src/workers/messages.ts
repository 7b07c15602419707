import type { InspectedRequest } from '../../../contract/inspector.ts';
import type { TraceOptions } from '../gateway/traces.ts';
import type { TableParts } from '../routing/table.ts';
import type { JournalState } from '../usage/journal.ts';
import type { Answer, Ask } from './asks.ts';

/** What a worker is given when it starts. */
export interface WorkerSetup {
  readonly host: string;
  readonly port: number;
  /** Where the first process answers all that is not /v1. */
  readonly controlSocket: string;
  readonly workers: number;
  /** The folder of this worker's usage journal. */
  readonly journalDir: string;
  readonly tracing: TraceOptions | null;
  readonly settings: {
    readonly REQUEST_MAX_BODY_BYTES: number;
    readonly REQUEST_MAX_NESTING: number;
    readonly REQUEST_MAX_CHOICES: number;
    readonly REQUEST_MAX_TOKENS: number;
    readonly REQUEST_MAX_IMAGES: number;
    readonly TRUSTED_PROXIES: readonly string[];
  };
}

/** How a worker does. */
export interface WorkerState {
  readonly journal: JournalState;
  /** Requests under way at models whose places nobody counts. */
  readonly running: Readonly<Record<string, number>>;
  /** Requests under way, by endpoint. */
  readonly outstanding: Readonly<Record<string, number>>;
  /** Endpoints that are not asked after failures. */
  readonly leftAlone: readonly string[];
}

export type ToWorker =
  | { readonly kind: 'setup'; readonly setup: WorkerSetup }
  | { readonly kind: 'table'; readonly parts: Partial<TableParts> }
  | { readonly kind: 'answers'; readonly answers: readonly Answer[] }
  | { readonly kind: 'stop'; readonly graceMs: number };

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }
  | { readonly kind: 'state'; readonly state: WorkerState }
  | { readonly kind: 'inspected'; readonly inspected: InspectedRequest }
  | { readonly kind: 'asks'; readonly asks: readonly Ask[] }
  | { readonly kind: 'log'; readonly level: 'warn' | 'error'; readonly details: object; readonly message: string };
