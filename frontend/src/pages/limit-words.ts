import type { LimitSubject } from '../../../contract/routing.ts';

export const subjectWords: Record<LimitSubject, string> = {
  key: 'API key',
  user: 'user',
  organization: 'organisation',
  model: 'model',
};

export const limitFields = [
  { name: 'requests_per_minute', label: 'Requests/min' },
  { name: 'tokens_per_minute', label: 'Tokens/min' },
  { name: 'concurrent_requests', label: 'At a time' },
  { name: 'tokens_per_day', label: 'Tokens/day' },
  { name: 'tokens_per_month', label: 'Tokens/month' },
] as const;
