import type { UsageRecord } from '../../../contract/usage.ts';
import type { Caller } from './credentials.ts';

/** A usage record while its request is on the way. */
export type UsageDraft = { -readonly [K in keyof UsageRecord]: UsageRecord[K] };

export const newUsageDraft = (requestId: string, atMs: number, path: string, caller: Caller): UsageDraft => ({
  request_id: requestId,
  at: isoTime(atMs),
  key_id: caller.keyId,
  user_id: caller.userId,
  organization_id: caller.organizationId,
  model_id: null,
  served_name: '',
  requested_name: '',
  replica: null,
  endpoint: path,
  streamed: false,
  status: 500,
  outcome: 'engine_error',
  prompt_tokens: 0,
  completion_tokens: 0,
  cached_tokens: 0,
  estimated: false,
  duration_ms: 0,
  queue_ms: 0,
  first_byte_ms: null,
  cause: null,
});

let isoAtMs = 0;
let iso = '';

/** Under load many requests come in one millisecond, and writing it takes longer than looking it up. */
function isoTime(atMs: number): string {
  if (atMs !== isoAtMs) {
    isoAtMs = atMs;
    iso = new Date(atMs).toISOString();
  }
  return iso;
}

/** Clients choose this name: what no model can be called (and a database may refuse) is not kept. */
export const keptName = (name: string): string => name.slice(0, 128).replace(/[^\x20-\x7e]/g, '?');
