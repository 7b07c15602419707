import { type KeyboardEvent, type PointerEvent, useEffect, useRef, useState } from 'react';
import { formatCount, formatShort } from '../format.ts';
import { niceTicks } from './ticks.ts';

export interface BarSeries {
  /** Null for what is none of the others. */
  readonly id: string | null;
  readonly name: string;
  readonly values: readonly number[];
}

const height = 200;
const margin = { top: 8, right: 4, bottom: 22, left: 44 };

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
  const frame = useRef<HTMLDivElement>(null);
  const width = useWidth(frame);
  const [chosen, setChosen] = useState<number | null>(null);
  const place = chosen === null ? null : Math.min(chosen, labels.length - 1);
  const alone = series.length === 1;
  const sums = labels.map((_, bar) => series.reduce((sum, { values }) => sum + (values[bar] ?? 0), 0));
  const ticks = niceTicks(Math.max(0, ...sums));
  const top = ticks.at(-1) ?? 1;
  const inner = { width: Math.max(0, width - margin.left - margin.right), height: height - margin.top - margin.bottom };
  const step = inner.width / Math.max(1, labels.length);
  const gap = step > 4 ? Math.min(3, step * 0.25) : 0;
  const y = (value: number) => margin.top + inner.height * (1 - value / top);
  const named = labels.flatMap((label, bar) => (label === '' ? [] : [bar]));
  const every = Math.max(1, Math.ceil(named.length / Math.max(1, Math.floor(inner.width / 84))));

  const point = (event: PointerEvent<SVGSVGElement>) => {
    const x = event.clientX - event.currentTarget.getBoundingClientRect().left - margin.left;
    setChosen(x < 0 || x >= inner.width ? null : Math.floor(x / step));
  };
  const walk = (event: KeyboardEvent) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === 'Escape') setChosen(null);
    if (move === undefined) return;
    event.preventDefault();
    setChosen(Math.max(0, Math.min(labels.length - 1, (place ?? labels.length - (move < 0 ? 0 : 1)) + move)));
  };

  return (
    <div ref={frame} className="min-w-0 overflow-hidden">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys choose a bar. */}
      <section tabIndex={0} aria-label={`${title}: choose a bar with the arrow keys`} onKeyDown={walk}>
        <svg
          width={width}
          height={height}
          role="img"
          aria-label={`${title}, ${titles[0] ?? ''} to ${titles.at(-1) ?? ''}: ${formatCount(sums.reduce((a, b) => a + b, 0))} in all, at most ${formatCount(Math.max(0, ...sums))}`}
          onPointerMove={point}
          onPointerLeave={() => setChosen(null)}
          className="block touch-pan-y"
        >
          {ticks.map((tick) => (
            <g key={tick}>
              <line x1={margin.left} x2={width - margin.right} y1={y(tick)} y2={y(tick)} stroke="var(--line)" />
              <text x={margin.left - 6} y={y(tick) + 4} textAnchor="end" fontSize="11" fill="var(--muted)">
                {formatShort(tick)}
              </text>
            </g>
          ))}
          {named
            .filter((_, index) => index % every === 0)
            .map((bar) => (
              <text
                key={titles[bar]}
                x={margin.left + step * bar}
                y={height - 6}
                fontSize="11"
                fill="var(--muted)"
                textAnchor={width - step * bar - margin.left < 40 ? 'end' : 'start'}
              >
                {labels[bar]}
              </text>
            ))}
          {place === null ? null : (
            <rect
              x={margin.left + step * place}
              y={margin.top}
              width={step}
              height={inner.height}
              fill="var(--raised)"
            />
          )}
          {stacked(series, labels.length).map(({ bar, from, to, series: one }) => (
            <rect
              key={`${bar} ${one}`}
              x={margin.left + step * bar + gap / 2}
              width={Math.max(0.5, step - gap)}
              y={y(to)}
              height={Math.max(0.5, y(from) - y(to))}
              fill={colourOf(series[one] ?? { id: null, name: '', values: [] }, one, alone)}
            />
          ))}
        </svg>
      </section>
      <p className="mt-2 min-h-5 text-xs text-muted" aria-live="polite">
        {place === null
          ? `At most ${formatCount(Math.max(0, ...sums))} in one ${unit}.`
          : `${titles[place]} · ${formatCount(sums[place] ?? 0)}`}
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
                {formatShort(place === null ? one.values.reduce((a, b) => a + b, 0) : (one.values[place] ?? 0))}
              </span>
            </li>
          ))}
        </ul>
      )}
    </div>
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

function useWidth(frame: React.RefObject<HTMLDivElement | null>): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (!frame.current) return;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    observer.observe(frame.current);
    return () => observer.disconnect();
  }, [frame]);
  return width;
}
