import type { Benchmark, BenchmarkStep } from '../../../contract/benchmarks.ts';
import { Table } from '../components/page.tsx';
import { formatAgo, formatDuration, formatRate } from '../format.ts';
import { benchmarkDifferences, changeInWords } from './benchmark-differences.ts';

interface Figure {
  readonly name: string;
  readonly of: (step: BenchmarkStep) => number | null;
  readonly shown: (value: number | null) => string;
}
const rate: Figure = { name: 'Output tokens/s', of: (step) => step.output_tokens_per_second, shown: formatRate };
const promptRate: Figure = { name: 'Prompt tokens/s', of: (step) => step.prompt_tokens_per_second, shown: formatRate };
const wait: Figure = { name: 'First token, p50', of: (step) => step.first_token_p50_ms, shown: formatDuration };
const whole: Figure = { name: 'Whole answer, p50', of: (step) => step.duration_p50_ms, shown: formatDuration };

/** Two runs, step by step, and in what their models and settings differ. */
export function BenchmarkComparison({ benchmark, compared }: { benchmark: Benchmark; compared: Benchmark }) {
  const figures = benchmark.subject.task === 'generate' ? [rate, wait, whole] : [promptRate, whole];
  const both = benchmark.steps.flatMap((step) => {
    const other = compared.steps.find(({ concurrency }) => concurrency === step.concurrency);
    return other === undefined ? [] : [{ step, other }];
  });
  const differences = benchmarkDifferences(benchmark, compared);
  return (
    <section className="space-y-2" aria-label="Comparison">
      <h2 className="text-sm font-semibold">
        Compared with the run of{' '}
        <span title={compared.started_at}>{new Date(compared.started_at).toLocaleString('en-GB')}</span>{' '}
        <span className="font-normal text-muted">{formatAgo(compared.started_at)}</span>
      </h2>
      {both.length === 0 ? (
        <p className="text-muted">No step of the two had the same number of requests at once.</p>
      ) : (
        <Table
          label="Both runs, step by step"
          head={[{ name: 'At once', right: true }, ...figures.map(({ name }) => ({ name, right: true }))]}
        >
          {both.map(({ step, other }) => (
            <tr key={step.concurrency}>
              <td className="px-3 py-2 text-right">{step.concurrency}</td>
              {figures.map(({ name, of, shown }) => (
                <td key={name} className="px-3 py-2 text-right whitespace-nowrap tabular-nums">
                  {shown(of(step))}
                  <span className="ml-3 text-muted">
                    the other {shown(of(other))}, {changeInWords(of(other), of(step))}
                  </span>
                </td>
              ))}
            </tr>
          ))}
        </Table>
      )}
      {differences.length === 0 ? (
        <p className="text-muted">Settings, configuration, image and GPUs of the two are the same.</p>
      ) : (
        <Table
          label="In what they differ"
          head={[{ name: 'What differs' }, { name: 'This run' }, { name: 'The other' }]}
        >
          {differences.map(({ field, here, there }) => (
            <tr key={field}>
              <td className="px-3 py-2">{field}</td>
              <td className="px-3 py-2 break-all">{here}</td>
              <td className="px-3 py-2 break-all">{there}</td>
            </tr>
          ))}
        </Table>
      )}
    </section>
  );
}
