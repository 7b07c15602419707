import type { Benchmark, BenchmarkStep } from '../../../contract/benchmarks.ts';
import { type Line, LineChart } from '../components/line-chart.tsx';
import { formatDuration, formatShort } from '../format.ts';

/** Rate and waiting time against the requests at once; a second run in a colour of its own. */
export function BenchmarkCharts({ benchmark, compared }: { benchmark: Benchmark; compared: Benchmark | undefined }) {
  const runs = compared === undefined ? [benchmark] : [benchmark, compared];
  const places = [...new Set(runs.flatMap(({ steps }) => steps.map(({ concurrency }) => concurrency)))].sort(
    (a, b) => a - b,
  );
  const writes = benchmark.subject.task === 'generate';
  const linesOf = (name: string, of: (step: BenchmarkStep) => number | null, dashed = false): Line[] =>
    runs.map(({ steps }, colour) => ({
      name: runs.length === 1 ? name : `${name}, ${colour === 0 ? 'this run' : 'the other'}`,
      values: places.map((place) => {
        const step = steps.find(({ concurrency }) => concurrency === place);
        return step === undefined ? null : of(step);
      }),
      colour,
      dashed,
    }));
  const charts = [
    {
      title: writes ? 'Output tokens per second' : 'Prompt tokens per second',
      format: formatShort,
      lines: writes
        ? linesOf('all answers together', (step) => step.output_tokens_per_second)
        : linesOf('all requests together', (step) => step.prompt_tokens_per_second),
    },
    {
      title: writes ? 'Time to first token' : 'Time to the answer',
      format: formatDuration,
      lines: writes
        ? [
            ...linesOf('p50', (step) => step.first_token_p50_ms),
            ...linesOf('p95', (step) => step.first_token_p95_ms, true),
          ]
        : [...linesOf('p50', (step) => step.duration_p50_ms), ...linesOf('p95', (step) => step.duration_p95_ms, true)],
    },
  ];
  return (
    <div className="grid gap-6 lg:grid-cols-2">
      {charts.map((chart) => (
        <div key={chart.title} className="min-w-0">
          <h3 className="mb-2 text-sm font-medium">
            {chart.title} <span className="font-normal text-muted">by requests at once</span>
          </h3>
          <LineChart {...chart} labels={places.map(String)} titles={places.map((place) => `${place} at once`)} />
        </div>
      ))}
    </div>
  );
}
