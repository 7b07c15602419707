import { useQuery } from '@tanstack/react-query';
import type { UsageFilter } from '../../../contract/usage.ts';
import type { UsageBucket } from '../../../contract/usage-analytics.ts';
import { usageQueries } from '../api/usage-queries.ts';
import { BarChart } from '../components/bar-chart.tsx';
import { Segments } from '../components/choice.tsx';
import { Failure, Skeleton } from '../components/page.tsx';
import type { UsageRange } from '../usage-range.ts';

type Split = 'model' | 'key' | undefined;

/** Requests or tokens as bars, an hour or a day each. */
export function UsageOverTime({
  range,
  filter,
  split,
  show,
  onChange,
}: {
  range: UsageRange;
  filter: Pick<UsageFilter, 'model' | 'key_id' | 'outcome'>;
  split: Split;
  show: 'tokens' | undefined;
  onChange: (change: { split?: Split; show?: 'tokens' | undefined }) => void;
}) {
  const series = useQuery(usageQueries.series(range, split ?? 'none', filter));
  return (
    <section className="min-w-0 rounded-lg border border-line bg-surface p-4" aria-label="Over time">
      <div className="mb-3 flex flex-wrap gap-2">
        <Segments
          label="What is shown"
          value={show ?? 'requests'}
          options={[
            ['requests', 'Requests'],
            ['tokens', 'Tokens'],
          ]}
          onChange={(next) => onChange({ show: next === 'tokens' ? 'tokens' : undefined })}
        />
        <Segments
          label="Split by"
          value={split ?? 'none'}
          options={[
            ['none', 'Together'],
            ['model', 'By model'],
            ['key', 'By key'],
          ]}
          onChange={(next) => onChange({ split: next === 'none' ? undefined : next })}
        />
      </div>
      {series.isPending ? <Skeleton rows={4} /> : null}
      {series.isError ? <Failure error={series.error} retry={() => void series.refetch()} /> : null}
      {series.data ? (
        <BarChart
          title={`${show === 'tokens' ? 'Tokens' : 'Requests'} by ${series.data.bucket}`}
          unit={series.data.bucket}
          labels={series.data.times.map((time) => shortTime(time, series.data.bucket, range))}
          titles={series.data.times.map((time) => exactTime(time, series.data.bucket))}
          series={series.data.series.map((one) => ({
            id: one.id,
            name: series.data.group === 'key' && one.id === '' ? 'playground' : one.name,
            values:
              show === 'tokens'
                ? one.prompt_tokens.map((tokens, place) => tokens + (one.completion_tokens[place] ?? 0))
                : one.requests,
          }))}
        />
      ) : null}
    </section>
  );
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const hourDay = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const hourExact = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' });
// The days of the sums are those of UTC.
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });
const dayExact = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeZone: 'UTC' });

function shortTime(time: string, bucket: UsageBucket, range: UsageRange): string {
  if (bucket === 'day') return day.format(new Date(time));
  if (range === '24h') return clock.format(new Date(time));
  // A day's name stands where the day begins here.
  return new Date(time).getHours() === 0 ? hourDay.format(new Date(time)) : '';
}

const exactTime = (time: string, bucket: UsageBucket): string =>
  bucket === 'day' ? `${dayExact.format(new Date(time))} (UTC)` : hourExact.format(new Date(time));
