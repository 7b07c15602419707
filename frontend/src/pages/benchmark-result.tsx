import { useMutation } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import type { Benchmark, BenchmarkStep } from '../../../contract/benchmarks.ts';
import { call } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { BenchmarkStatus, settingsInWords } from '../components/benchmark-words.tsx';
import { Button } from '../components/button.tsx';
import { SelectField } from '../components/field.tsx';
import { Card, Failure, Table } from '../components/page.tsx';
import { formatAgo, formatCount, formatDuration, formatRate } from '../format.ts';
import { BenchmarkCharts } from './benchmark-charts.tsx';
import { BenchmarkComparison } from './benchmark-comparison.tsx';

/** One run: how far it is, its charts and figures, and another one beside it. */
export function BenchmarkResult({
  benchmark,
  compared,
  others,
  mayWrite,
}: {
  benchmark: Benchmark;
  compared: Benchmark | undefined;
  others: readonly Benchmark[];
  mayWrite: boolean;
}) {
  const navigate = useNavigate({ from: '/models/$id/benchmark' });
  const { id, error, steps, started_at, username } = benchmark;
  const candidates = others.filter((one) => one.id !== id && one.steps.length > 0);
  return (
    <>
      <Card title="Result">
        <div className="space-y-4">
          <div className="flex flex-wrap items-start justify-between gap-3">
            <div className="min-w-0">
              <p aria-live="polite" data-testid="benchmark-state">
                <BenchmarkStatus benchmark={benchmark} /> <Progress benchmark={benchmark} />
              </p>
              <p className="mt-1 text-muted" title={started_at}>
                {settingsInWords(benchmark)} · {formatAgo(started_at)} by {username}
              </p>
            </div>
            {benchmark.state === 'running' && mayWrite ? <Cancel benchmark={benchmark} /> : null}
          </div>
          {error === null ? null : (
            <p role="alert" className="break-words text-bad">
              ▲ {error.message} <span className="text-muted">{error.hint}</span>
            </p>
          )}
          {candidates.length > 0 ? (
            <div className="max-w-md">
              <SelectField
                label="Compare with"
                value={compared?.id ?? ''}
                onChange={(event) =>
                  void navigate({ search: { run: id, with: event.target.value || undefined }, replace: true })
                }
              >
                <option value="">nothing</option>
                {candidates.map((one) => (
                  <option key={one.id} value={one.id}>
                    {new Date(one.started_at).toLocaleString('en-GB')}: {settingsInWords(one)}
                  </option>
                ))}
              </SelectField>
            </div>
          ) : null}
          {steps.length > 0 ? <BenchmarkCharts benchmark={benchmark} compared={compared} /> : null}
        </div>
      </Card>
      {compared === undefined ? null : <BenchmarkComparison benchmark={benchmark} compared={compared} />}
      {steps.length > 0 ? <Steps benchmark={benchmark} /> : null}
    </>
  );
}

function Progress({ benchmark: { progress, settings, steps } }: { benchmark: Benchmark }) {
  if (progress === null) return null;
  const { concurrency, requests, failures, seconds_left } = progress;
  const words =
    concurrency === null
      ? 'warming up'
      : `step ${steps.length + 1} of ${settings.concurrency.length}: ${concurrency} at once, ${formatCount(requests)} requests answered${failures > 0 ? `, ${formatCount(failures)} failed` : ''}`;
  return (
    <span className="text-muted tabular-nums">
      · {words} · {seconds_left < 1 ? 'ending' : `about ${formatDuration(seconds_left * 1000)} left`}
    </span>
  );
}

function Cancel({ benchmark }: { benchmark: Benchmark }) {
  const cancel = useMutation({
    mutationFn: () => call('cancelBenchmark', { params: { id: benchmark.id } }),
    onSettled: () => queryClient.invalidateQueries({ queryKey: queries.benchmarks(benchmark.model_id).queryKey }),
  });
  return (
    <div className="space-y-2">
      <Button disabled={cancel.isPending} onClick={() => cancel.mutate()}>
        Cancel
      </Button>
      {cancel.isError ? <Failure error={cancel.error} /> : null}
    </div>
  );
}

interface Column {
  readonly name: string;
  readonly of: (step: BenchmarkStep) => string;
  readonly writes?: true;
}

const pair = (low: number | null, high: number | null) => `${formatDuration(low)} / ${formatDuration(high)}`;
const perToken = (ms: number | null) => (ms === null || ms >= 1000 ? formatDuration(ms) : `${ms.toFixed(1)} ms`);
const columns: readonly Column[] = [
  { name: 'At once', of: ({ concurrency }) => String(concurrency) },
  { name: 'Answered', of: ({ requests }) => formatCount(requests) },
  { name: 'Failed', of: ({ failures }) => formatCount(failures) },
  { name: 'Output tokens/s', of: (step) => formatRate(step.output_tokens_per_second), writes: true },
  { name: 'Prompt tokens/s', of: (step) => formatRate(step.prompt_tokens_per_second) },
  { name: 'First token', of: (step) => pair(step.first_token_p50_ms, step.first_token_p95_ms), writes: true },
  {
    name: 'Each token',
    of: (step) => `${perToken(step.per_token_p50_ms)} / ${perToken(step.per_token_p95_ms)}`,
    writes: true,
  },
  { name: 'Whole answer', of: (step) => pair(step.duration_p50_ms, step.duration_p95_ms) },
];

function Steps({ benchmark: { steps, subject } }: { benchmark: Benchmark }) {
  const shown = columns.filter(({ writes }) => !writes || subject.task === 'generate');
  const failed = steps.filter(({ error }) => error !== null);
  return (
    <section className="space-y-2">
      <h2 className="text-sm font-semibold">
        Figures <span className="font-normal text-muted">times as p50 / p95</span>
      </h2>
      <Table label="Figures of each step" head={shown.map(({ name }) => ({ name, right: true }))}>
        {steps.map((step) => (
          <tr key={step.concurrency}>
            {shown.map(({ name, of }) => (
              <td key={name} className="px-3 py-2 text-right whitespace-nowrap tabular-nums">
                {of(step)}
              </td>
            ))}
          </tr>
        ))}
      </Table>
      {failed.map(({ concurrency, error }) => (
        <p key={concurrency} className="break-words text-muted">
          With {concurrency} at once, the first that failed: {error?.message}
        </p>
      ))}
    </section>
  );
}
