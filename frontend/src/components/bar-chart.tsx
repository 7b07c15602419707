import { formatCount, formatShort } from '../format.ts';
import { ChartFrame } from './chart-frame.tsx';

export interface BarSeries {
  /** Null for what is none of the others. */
  readonly id: string | null;
  readonly name: string;
  readonly values: readonly number[];
}

const colourOf = (series: BarSeries, place: number, alone: boolean): string =>
  series.id === null && !alone ? 'var(--series-others)' : `var(--series-${place % 8})`;

/**
 * Stacked bars over time. The bar under the pointer, or the one that the arrow keys chose, is told in words below.
 * @param unit what one bar is: an hour, a day
 * @param labels one a bar, short enough for the axis; empty where the axis has no place for one
 * @param titles one a bar, exact
 */
export function BarChart({
  title,
  unit,
  labels,
  titles,
  series,
}: {
  title: string;
  unit: string;
  labels: readonly string[];
  titles: readonly string[];
  series: readonly BarSeries[];
}) {
  const alone = series.length === 1;
  const sums = labels.map((_, bar) => series.reduce((sum, { values }) => sum + (values[bar] ?? 0), 0));
  const most = Math.max(0, ...sums);
  return (
    <ChartFrame
      title={title}
      place="a bar"
      summary={`${title}, ${titles[0] ?? ''} to ${titles.at(-1) ?? ''}: ${formatCount(sums.reduce((a, b) => a + b, 0))} in all, at most ${formatCount(most)}`}
      labels={labels}
      most={most}
      format={formatShort}
      align="start"
      marks={({ x, y, step }) => {
        const gap = step > 4 ? Math.min(3, step * 0.25) : 0;
        return stacked(series, labels.length).map(({ bar, from, to, series: one }) => (
          <rect
            key={`${bar} ${one}`}
            x={x(bar) + gap / 2}
            width={Math.max(0.5, step - gap)}
            y={y(to)}
            height={Math.max(0.5, y(from) - y(to))}
            fill={colourOf(series[one] ?? { id: null, name: '', values: [] }, one, alone)}
          />
        ));
      }}
      below={(bar) => (
        <>
          <p className="mt-2 min-h-5 text-xs text-muted" aria-live="polite">
            {bar === null
              ? `At most ${formatCount(most)} in one ${unit}.`
              : `${titles[bar]} · ${formatCount(sums[bar] ?? 0)}`}
          </p>
          {alone ? null : (
            <ul className="mt-1 flex flex-wrap gap-x-4 gap-y-1 text-xs">
              {series.map((one, index) => (
                <li key={one.id ?? 'others'} className="flex min-w-0 items-center gap-1.5">
                  <svg width="10" height="10" aria-hidden className="shrink-0">
                    <rect width="10" height="10" rx="2" fill={colourOf(one, index, false)} />
                  </svg>
                  <span className="truncate">{one.name}</span>
                  <span className="text-muted">
                    {formatShort(bar === null ? one.values.reduce((a, b) => a + b, 0) : (one.values[bar] ?? 0))}
                  </span>
                </li>
              ))}
            </ul>
          )}
        </>
      )}
    />
  );
}

interface Piece {
  readonly bar: number;
  readonly series: number;
  readonly from: number;
  readonly to: number;
}

function stacked(series: readonly BarSeries[], bars: number): Piece[] {
  const pieces: Piece[] = [];
  for (let bar = 0; bar < bars; bar += 1) {
    let from = 0;
    for (const [index, { values }] of series.entries()) {
      const value = values[bar] ?? 0;
      if (value > 0) pieces.push({ bar, series: index, from, to: from + value });
      from += value;
    }
  }
  return pieces;
}
