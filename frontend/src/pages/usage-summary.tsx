import type { UsageSummary } from '../../../contract/usage-analytics.ts';
import { Card } from '../components/page.tsx';
import { formatCount, formatDuration, formatShort } from '../format.ts';

const share = new Intl.NumberFormat('en', { style: 'percent', maximumFractionDigits: 1 });

/** The figures of the range. */
export function UsageFigures({ summary: { totals } }: { summary: UsageSummary }) {
  const figures: readonly { name: string; value: string; title?: string; more: string }[] = [
    {
      name: 'Requests',
      value: formatShort(totals.requests),
      title: formatCount(totals.requests),
      more: `${share.format(totals.error_share)} failed (${formatCount(totals.errors)})`,
    },
    {
      name: 'Prompt tokens',
      value: formatShort(totals.prompt_tokens),
      title: formatCount(totals.prompt_tokens),
      more: `${formatShort(totals.cached_tokens)} from the cache`,
    },
    {
      name: 'Completion tokens',
      value: formatShort(totals.completion_tokens),
      title: formatCount(totals.completion_tokens),
      more: totals.estimated === 0 ? 'all counted by the engine' : `≈ in ${formatShort(totals.estimated)} requests`,
    },
    {
      name: 'Time to first token',
      value: formatDuration(totals.ttft_p50_ms),
      title: 'Half of the streams were faster',
      more: `95 % within ${formatDuration(totals.ttft_p95_ms)}`,
    },
    {
      name: 'Duration',
      value: formatDuration(totals.duration_p50_ms),
      title: 'Half of the requests were faster',
      more: `95 % within ${formatDuration(totals.duration_p95_ms)}`,
    },
  ];
  return (
    <dl className="grid grid-cols-2 gap-3 sm:grid-cols-3 lg:grid-cols-5">
      {figures.map(({ name, value, title, more }) => (
        <div key={name} className="rounded-lg border border-line bg-surface p-4 max-sm:last:col-span-2">
          <dt className="text-muted">{name}</dt>
          <dd className="text-2xl font-semibold" title={title}>
            {value}
          </dd>
          <dd className="text-xs text-muted">{more}</dd>
        </div>
      ))}
    </dl>
  );
}

/** The largest ones with their share as a bar; a click shows only that one. */
export function UsageRanking({
  title,
  rows,
  onChoose,
}: {
  title: string;
  rows: UsageSummary['models'];
  onChoose: (id: string) => void;
}) {
  const most = Math.max(1, ...rows.map(({ requests }) => requests));
  return (
    <Card title={title} className="min-w-0">
      <ol className="space-y-2">
        {rows.map(({ id, name, requests, errors, tokens }) => (
          <li key={id}>
            <div className="flex items-baseline gap-2">
              {id === '' ? (
                <span className="min-w-0 flex-1 truncate">playground</span>
              ) : (
                <button
                  type="button"
                  className="min-w-0 flex-1 truncate text-left hover:underline"
                  title={`Show only ${name}`}
                  onClick={() => onChoose(id)}
                >
                  {name}
                </button>
              )}
              <span className="shrink-0 text-xs text-muted">
                {errors > 0 ? `${formatShort(errors)} failed · ` : ''}
                {formatShort(tokens)} tokens
              </span>
              <span className="w-14 shrink-0 text-right" title={`${formatCount(requests)} requests`}>
                {formatShort(requests)}
              </span>
            </div>
            <div className="mt-1 h-1 rounded bg-raised" aria-hidden>
              <div className="h-1 rounded bg-accent" style={{ width: `${(100 * requests) / most}%` }} />
            </div>
          </li>
        ))}
      </ol>
    </Card>
  );
}
