import { CortexError } from '../../../contract/errors.ts';
import type { AnalyticsQuery, UsageBucket } from '../../../contract/usage-analytics.ts';

export const bucketMs: Readonly<Record<UsageBucket, number>> = { hour: 3_600_000, day: 86_400_000 };
/** In days: what is read stays small enough to be answered within a second, also by the embedded database. */
const longestDays: Readonly<Record<UsageBucket, number>> = { hour: 31, day: 4000 };
const hoursUpToMs = 8 * bucketMs.day;

export interface BucketRange {
  readonly from: Date;
  readonly to: Date;
  readonly bucket: UsageBucket;
}

/**
 * The whole hours or days of UTC that a question is about; the last 24 hours where it names none.
 * @throws CortexError invalid_request that names the field
 */
export function bucketRange(query: AnalyticsQuery, hourlyRetentionDays: number, nowMs = Date.now()): BucketRange {
  checkOrder(query);
  const toMs = query.to === undefined ? nowMs : Date.parse(query.to);
  const fromMs = query.from === undefined ? toMs - bucketMs.day : Date.parse(query.from);
  if (fromMs >= toMs) throw invalid('from', `from (${query.from}) must be before now where to is left out`);
  const bucket = query.bucket ?? (toMs - fromMs <= hoursUpToMs ? 'hour' : 'day');
  const size = bucketMs[bucket];
  const from = Math.floor(fromMs / size) * size;
  const to = Math.ceil(toMs / size) * size;
  // One more for the ends, which were widened.
  if (to - from > longestDays[bucket] * bucketMs.day + size)
    throw invalid(
      'from',
      `a range by ${bucket} may be ${longestDays[bucket]} days long${bucket === 'hour' ? '; ask for bucket=day' : ''}`,
    );
  if (bucket === 'hour' && from < nowMs - (hourlyRetentionDays + 1) * bucketMs.day)
    throw invalid('from', `hours are kept for ${hourlyRetentionDays} days; ask for bucket=day`);
  return { from: new Date(from), to: new Date(to), bucket };
}

/** @throws CortexError invalid_request where the range ends before it starts */
export function checkOrder({ from, to }: { from?: string | undefined; to?: string | undefined }): void {
  if (from !== undefined && to !== undefined && Date.parse(from) >= Date.parse(to))
    throw invalid('from', `from (${from}) must be before to (${to})`);
}

const invalid = (param: string, detail: string) => new CortexError('invalid_request', { detail }, { param });
