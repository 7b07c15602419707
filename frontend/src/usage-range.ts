import type { UsageBucket } from '../../contract/usage-analytics.ts';

export const usageRanges = ['24h', '7d', '30d', '1y'] as const;
export type UsageRange = (typeof usageRanges)[number];

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const lengths: Record<UsageRange, { count: number; bucket: UsageBucket; name: string; words: string }> = {
  '24h': { count: 24, bucket: 'hour', name: '24 h', words: 'the last 24 hours' },
  '7d': { count: 7 * 24, bucket: 'hour', name: '7 d', words: 'the last 7 days' },
  '30d': { count: 30, bucket: 'day', name: '30 d', words: 'the last 30 days' },
  '1y': { count: 365, bucket: 'day', name: '1 year', words: 'the last year' },
};

export const rangeName = (range: UsageRange): string => lengths[range].name;
export const rangeWords = (range: UsageRange): string => lengths[range].words;

/** The range up to now, as whole hours or days: the running one is its last. */
export function rangeOf(range: UsageRange, nowMs = Date.now()): { from: string; bucket: UsageBucket } {
  const { count, bucket } = lengths[range];
  const size = bucket === 'hour' ? hourMs : dayMs;
  return { from: new Date((Math.floor(nowMs / size) - count + 1) * size).toISOString(), bucket };
}
