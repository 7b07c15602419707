import type { InspectedRequest } from '../../../contract/inspector.ts';
import type { UsageRecord } from '../../../contract/usage.ts';
import type { Timing } from '../gateway/gateway.ts';
import type { LimitAnswer, LimitRequest } from '../gateway/limits.ts';
import type { TraceOptions } from '../gateway/traces.ts';
import type { TableParts } from '../routing/table.ts';
import type { JournalState } from '../usage/journal.ts';

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

export type ToWorker =
  | { readonly kind: 'setup'; readonly setup: WorkerSetup }
  | { readonly kind: 'table'; readonly parts: Partial<TableParts> }
  | { readonly kind: 'limits'; readonly id: number; readonly answer: LimitAnswer | null }
  | { readonly kind: 'stop'; readonly graceMs: number };

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }
  | { readonly kind: 'journal'; readonly state: JournalState }
  /** It is in the worker's journal already; this is for the metrics. */
  | { readonly kind: 'record'; readonly record: UsageRecord; readonly timing: Timing }
  | { readonly kind: 'inspected'; readonly inspected: InspectedRequest }
  | { readonly kind: 'take'; readonly id: number; readonly request: LimitRequest }
  | { readonly kind: 'settle'; readonly request: LimitRequest; readonly usedTokens: number }
  | { readonly kind: 'log'; readonly level: 'warn' | 'error'; readonly details: object; readonly message: string };
