import { type KeyboardEvent, type PointerEvent, type ReactNode, useEffect, useRef, useState } from 'react';
import { niceTicks } from './ticks.ts';

const height = 200;
const margin = { top: 8, right: 4, bottom: 22, left: 52 };

/** Where a chart draws. */
export interface Plot {
  /** The left edge of a place, and how wide each is. */
  readonly x: (place: number) => number;
  readonly step: number;
  readonly y: (value: number) => number;
}

/**
 * Axes, and a place that the pointer or the arrow keys choose. What is drawn at the places is the caller's.
 * @param place what one is called: `a bar`
 * @param summary of all of it, in words
 * @param labels one a place, short enough for the axis; empty where the axis has no room for one
 * @param most the largest value
 * @param align where a label stands at its place
 * @param below what stands under the chart, of the place that is chosen or of all
 */
export function ChartFrame({
  title,
  place: placeName,
  summary,
  labels,
  most,
  format,
  align,
  marks,
  below,
}: {
  title: string;
  place: string;
  summary: string;
  labels: readonly string[];
  most: number;
  format: (value: number) => string;
  align: 'start' | 'middle';
  marks: (plot: Plot) => ReactNode;
  below: (chosen: number | null) => ReactNode;
}) {
  const frame = useRef<HTMLDivElement>(null);
  const width = useWidth(frame);
  const [chosen, setChosen] = useState<number | null>(null);
  const place = chosen === null ? null : Math.min(chosen, labels.length - 1);
  const ticks = niceTicks(most);
  const top = ticks.at(-1) ?? 1;
  const inner = { width: Math.max(0, width - margin.left - margin.right), height: height - margin.top - margin.bottom };
  const step = inner.width / Math.max(1, labels.length);
  const x = (at: number) => margin.left + step * at;
  const y = (value: number) => margin.top + inner.height * (1 - value / top);
  const named = labels.flatMap((label, at) => (label === '' ? [] : [at]));
  const every = Math.max(1, Math.ceil(named.length / Math.max(1, Math.floor(inner.width / 84))));

  const point = (event: PointerEvent<SVGSVGElement>) => {
    const at = event.clientX - event.currentTarget.getBoundingClientRect().left - margin.left;
    setChosen(at < 0 || at >= inner.width ? null : Math.floor(at / step));
  };
  const walk = (event: KeyboardEvent) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === 'Escape') setChosen(null);
    if (move === undefined) return;
    event.preventDefault();
    setChosen(Math.max(0, Math.min(labels.length - 1, (place ?? labels.length - (move < 0 ? 0 : 1)) + move)));
  };
  const anchor = (at: number) => {
    if (align === 'middle') return 'middle';
    return width - step * at - margin.left < 40 ? 'end' : 'start';
  };

  return (
    <div ref={frame} className="min-w-0 overflow-hidden">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys choose a place. */}
      <section tabIndex={0} aria-label={`${title}: choose ${placeName} with the arrow keys`} onKeyDown={walk}>
        <svg
          width={width}
          height={height}
          role="img"
          aria-label={summary}
          onPointerMove={point}
          onPointerLeave={() => setChosen(null)}
          className="block touch-pan-y"
        >
          {ticks.map((tick) => (
            <g key={tick}>
              <line x1={margin.left} x2={width - margin.right} y1={y(tick)} y2={y(tick)} stroke="var(--line)" />
              <text x={margin.left - 6} y={y(tick) + 4} textAnchor="end" fontSize="11" fill="var(--muted)">
                {format(tick)}
              </text>
            </g>
          ))}
          {named
            .filter((_, index) => index % every === 0)
            .map((at) => (
              <text
                key={at}
                x={x(at) + (align === 'middle' ? step / 2 : 0)}
                y={height - 6}
                fontSize="11"
                fill="var(--muted)"
                textAnchor={anchor(at)}
              >
                {labels[at]}
              </text>
            ))}
          {place === null ? null : (
            <rect x={x(place)} y={margin.top} width={step} height={inner.height} fill="var(--raised)" />
          )}
          {marks({ x, y, step })}
        </svg>
      </section>
      {below(place)}
    </div>
  );
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
