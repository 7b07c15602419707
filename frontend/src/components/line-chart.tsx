import { ChartFrame } from './chart-frame.tsx';

export interface Line {
  readonly name: string;
  /** One a place; null where nothing was measured. */
  readonly values: readonly (number | null)[];
  /** Which of the colours; lines that belong together share one. */
  readonly colour: number;
  readonly dashed?: boolean;
}

/**
 * Lines over a few named places. What was measured at the chosen place is told in words below.
 * @param titles one a place, exact
 */
export function LineChart({
  title,
  labels,
  titles,
  lines,
  format,
}: {
  title: string;
  labels: readonly string[];
  titles: readonly string[];
  lines: readonly Line[];
  format: (value: number) => string;
}) {
  const all = lines.flatMap(({ values }) => values.filter((value) => value !== null));
  const most = Math.max(0, ...all);
  const range = all.length === 0 ? 'nothing was measured' : `${format(Math.min(...all))} to ${format(most)}`;
  return (
    <ChartFrame
      title={title}
      place="a point"
      summary={`${title}, ${titles[0] ?? ''} to ${titles.at(-1) ?? ''}: ${range}`}
      labels={labels}
      most={most}
      format={format}
      align="middle"
      marks={({ x, y, step }) =>
        lines.map((line) => {
          const points = pointsOf(line).map(({ at, value }) => ({ at, x: x(at) + step / 2, y: y(value) }));
          return (
            <g key={line.name} stroke={colourOf(line)} fill={colourOf(line)}>
              <polyline
                points={points.map((point) => `${point.x},${point.y}`).join(' ')}
                fill="none"
                strokeWidth="2"
                strokeDasharray={dashOf(line)}
              />
              {points.map((point) => (
                <circle key={point.at} cx={point.x} cy={point.y} r="3" stroke="none" />
              ))}
            </g>
          );
        })
      }
      below={(place) => (
        <>
          <p className="mt-2 min-h-5 text-xs text-muted" aria-live="polite">
            {place === null ? '' : titles[place]}
          </p>
          <ul className="flex flex-wrap gap-x-4 gap-y-1 text-xs">
            {lines.map((line) => {
              const value = place === null ? null : (line.values[place] ?? null);
              return (
                <li key={line.name} className="flex min-w-0 items-center gap-1.5">
                  <svg width="18" height="10" aria-hidden className="shrink-0">
                    <line
                      {...{ x1: 0, x2: 18, y1: 5, y2: 5 }}
                      stroke={colourOf(line)}
                      strokeWidth="2"
                      strokeDasharray={dashOf(line)}
                    />
                  </svg>
                  <span className="truncate">{line.name}</span>
                  <span className="text-muted">{value === null ? '' : format(value)}</span>
                </li>
              );
            })}
          </ul>
        </>
      )}
    />
  );
}

const colourOf = ({ colour }: Line): string => `var(--series-${colour % 8})`;
const dashOf = ({ dashed = false }: Line): string | undefined => (dashed ? '4 3' : undefined);

/** What lies between two measured places was not measured; the line goes on. */
const pointsOf = ({ values }: Line) => values.flatMap((value, at) => (value === null ? [] : [{ at, value }]));
