import type { UsageRecord } from '../../contract/usage.ts';

let counter = 0;

/** A request that went well, with what a test cares for put in. */
export const usageOf = (more: Partial<UsageRecord> = {}): UsageRecord => ({
  request_id: `req-${++counter}`,
  at: '2026-01-02T03:04:05.678Z',
  key_id: null,
  user_id: null,
  organization_id: null,
  model_id: null,
  served_name: 'llama',
  requested_name: 'asked',
  replica: null,
  endpoint: '/v1/chat/completions',
  streamed: true,
  status: 200,
  outcome: 'ok',
  prompt_tokens: 7,
  completion_tokens: 11,
  cached_tokens: 0,
  estimated: false,
  duration_ms: 12.5,
  queue_ms: 0,
  first_byte_ms: null,
  cause: null,
  ...more,
});
