import { useMutation, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import type { Benchmark } from '../../../contract/benchmarks.ts';
import type { Model } from '../../../contract/models.ts';
import { call } from '../api/client.ts';
import { useModelEvents } from '../api/model-events.ts';
import { queries, queryClient } from '../api/queries.ts';
import { BenchmarkStatus, settingsInWords } from '../components/benchmark-words.tsx';
import { buttonClass } from '../components/button.tsx';
import { Confirm } from '../components/confirm.tsx';
import { Empty, Failure, Page, Skeleton, Table } from '../components/page.tsx';
import { formatAgo, formatDuration, formatRate } from '../format.ts';
import { BenchmarkForm } from './benchmark-form.tsx';
import { BenchmarkResult } from './benchmark-result.tsx';

/** How fast a model answers, measured; which run is open, and with which it is compared, is in the address. */
export function BenchmarkPage() {
  const { id } = useParams({ from: '/inside/models/$id/benchmark' });
  useModelEvents(id);
  const models = useQuery(queries.models);
  const benchmarks = useQuery(queries.benchmarks(id));
  const model = models.data?.find((one) => one.id === id);
  const error = models.error ?? benchmarks.error;
  return (
    <Page
      title={model ? `Benchmark of ${model.name}` : 'Benchmark'}
      lead="How fast it answers, with more and more requests at once."
      actions={
        <Link to="/models/$id" params={{ id }} className={buttonClass()}>
          Back to the model
        </Link>
      }
    >
      {error ? (
        <Failure error={error} retry={() => void Promise.all([models.refetch(), benchmarks.refetch()])} />
      ) : null}
      {!error && (models.isPending || benchmarks.isPending) ? <Skeleton /> : null}
      {model && benchmarks.data ? <Runs model={model} benchmarks={benchmarks.data} /> : null}
    </Page>
  );
}

function Runs({ model, benchmarks }: { model: Model; benchmarks: readonly Benchmark[] }) {
  const { run, with: other, remove } = useSearch({ from: '/inside/models/$id/benchmark' });
  const { data: me } = useQuery(queries.me);
  const mayWrite = me?.rights.includes('models:write') ?? false;
  const opened = benchmarks.find(({ id }) => id === run) ?? benchmarks[0];
  const compared = benchmarks.find(({ id }) => id === other && id !== opened?.id);
  const removed = benchmarks.find(({ id }) => id === remove);
  return (
    <>
      {mayWrite ? <BenchmarkForm model={model} running={benchmarks.find(({ state }) => state === 'running')} /> : null}
      {opened === undefined ? (
        <Empty title="Nothing measured yet">
          A benchmark sends requests of one size, one at a time, then more and more at once, and shows tokens per second
          and the time to the first token. Each run is kept with the configuration that it measured.
        </Empty>
      ) : (
        <>
          <BenchmarkResult benchmark={opened} compared={compared} others={benchmarks} mayWrite={mayWrite} />
          <History benchmarks={benchmarks} opened={opened} mayWrite={mayWrite} />
        </>
      )}
      {removed === undefined ? null : <Remove benchmark={removed} />}
    </>
  );
}

function History({
  benchmarks,
  opened,
  mayWrite,
}: {
  benchmarks: readonly Benchmark[];
  opened: Benchmark;
  mayWrite: boolean;
}) {
  return (
    <section className="space-y-2">
      <h2 className="text-sm font-semibold">All runs</h2>
      <Table
        label="All runs"
        head={[
          { name: 'Started' },
          { name: 'State' },
          { name: 'What was sent' },
          { name: 'Best rate', right: true },
          { name: 'Shortest wait', right: true },
          ...(mayWrite ? [{ name: 'Actions', right: true }] : []),
        ]}
      >
        {benchmarks.map((one) => (
          <tr key={one.id} aria-current={one.id === opened.id ? 'true' : undefined}>
            <td className="px-3 py-2 whitespace-nowrap">
              <Link
                to="/models/$id/benchmark"
                params={{ id: one.model_id }}
                search={{ run: one.id }}
                title={one.started_at}
                className={`hover:underline ${one.id === opened.id ? 'font-semibold text-text' : 'text-accent'}`}
              >
                {one.id === opened.id ? `▸ ${formatAgo(one.started_at)}` : formatAgo(one.started_at)}
              </Link>{' '}
              <span className="text-muted">by {one.username}</span>
            </td>
            <td className="px-3 py-2">
              <BenchmarkStatus benchmark={one} />
            </td>
            <td className="min-w-56 px-3 py-2 text-muted">{settingsInWords(one)}</td>
            <td className="px-3 py-2 text-right whitespace-nowrap">{bestRate(one)}</td>
            <td className="px-3 py-2 text-right whitespace-nowrap">{shortestWait(one)}</td>
            {mayWrite ? (
              <td className="px-3 py-2 text-right">
                <Link
                  to="/models/$id/benchmark"
                  params={{ id: one.model_id }}
                  search={(before) => ({ ...before, remove: one.id })}
                  aria-label={`Delete the run of ${one.started_at}`}
                  className={buttonClass('quiet')}
                >
                  Delete
                </Link>
              </td>
            ) : null}
          </tr>
        ))}
      </Table>
    </section>
  );
}

const bestOf = (values: readonly (number | null)[], best: (...values: number[]) => number): number | null => {
  const told = values.filter((value) => value !== null);
  return told.length === 0 ? null : best(...told);
};

function bestRate({ steps, subject }: Benchmark): string {
  const writes = subject.task === 'generate';
  const rates = steps.map((step) => (writes ? step.output_tokens_per_second : step.prompt_tokens_per_second));
  const best = bestOf(rates, Math.max);
  return best === null ? '–' : `${formatRate(best)} tokens/s`;
}

const shortestWait = ({ steps, subject }: Benchmark): string =>
  formatDuration(
    bestOf(
      steps.map((step) => (subject.task === 'generate' ? step.first_token_p50_ms : step.duration_p50_ms)),
      Math.min,
    ),
  );

function Remove({ benchmark }: { benchmark: Benchmark }) {
  const navigate = useNavigate({ from: '/models/$id/benchmark' });
  const close = () => void navigate({ search: ({ remove: _, ...rest }) => rest });
  const remove = useMutation({
    mutationFn: () => call('deleteBenchmark', { params: { id: benchmark.id } }),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: queries.benchmarks(benchmark.model_id).queryKey });
      await navigate({ search: {} });
    },
  });
  return (
    <Confirm
      title={`Delete the run of ${new Date(benchmark.started_at).toLocaleString('en-GB')}?`}
      description={
        benchmark.state === 'running' ? 'It is ended, and what it has measured is lost.' : 'What it measured is lost.'
      }
      action="Delete"
      error={remove.error}
      busy={remove.isPending}
      onConfirm={() => remove.mutate()}
      onClose={close}
    />
  );
}
