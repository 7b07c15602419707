import { useMutation } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { type Benchmark, benchmarkSettings } from '../../../contract/benchmarks.ts';
import type { Model } from '../../../contract/models.ts';
import { call } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Button } from '../components/button.tsx';
import { Field } from '../components/field.tsx';
import { Card, Failure } from '../components/page.tsx';
import { formatDuration } from '../format.ts';

const defaults = benchmarkSettings.parse({});
const number = (text: string): number | string => (/^\d+$/.test(text.trim()) ? Number(text) : text);

/** What is to be sent, and what that does to those who use the model. */
export function BenchmarkForm({ model, running }: { model: Model; running: Benchmark | undefined }) {
  const navigate = useNavigate({ from: '/models/$id/benchmark' });
  const [concurrency, setConcurrency] = useState(defaults.concurrency.join(', '));
  const [promptTokens, setPromptTokens] = useState(String(defaults.prompt_tokens));
  const [outputTokens, setOutputTokens] = useState(String(defaults.output_tokens));
  const [seconds, setSeconds] = useState(String(defaults.seconds));
  const settings = benchmarkSettings.safeParse({
    concurrency: concurrency
      .split(/[\s,]+/)
      .filter((part) => part !== '')
      .map(number),
    prompt_tokens: number(promptTokens),
    output_tokens: number(outputTokens),
    seconds: number(seconds),
  });
  const problem = (field: string) => settings.error?.issues.find(({ path }) => path[0] === field)?.message;
  const start = useMutation({
    mutationFn: async () =>
      (await call('startBenchmark', { params: { id: model.id }, body: settings.data ?? {} })).benchmark,
    onSuccess: async ({ id }) => {
      await queryClient.invalidateQueries({ queryKey: queries.benchmarks(model.id).queryKey });
      await navigate({ search: { run: id } });
    },
  });
  const isReady = model.state === 'ready';
  const lasts = settings.data === undefined ? 0 : settings.data.concurrency.length * settings.data.seconds * 1000;
  return (
    <Card title="Measure">
      <form
        className="space-y-4"
        onSubmit={(event) => {
          event.preventDefault();
          if (settings.success) start.mutate();
        }}
      >
        <div className="grid gap-4 sm:grid-cols-2 lg:grid-cols-4">
          <Field
            label="Requests at once"
            help="One step for each number, smallest first."
            value={concurrency}
            error={problem('concurrency')}
            onChange={(event) => setConcurrency(event.target.value)}
          />
          <Field
            label="Prompt tokens"
            help="Of each request; words by chance."
            inputMode="numeric"
            value={promptTokens}
            error={problem('prompt_tokens')}
            onChange={(event) => setPromptTokens(event.target.value)}
          />
          {model.task === 'generate' ? (
            <Field
              label="Output tokens"
              help="Of each answer."
              inputMode="numeric"
              value={outputTokens}
              error={problem('output_tokens')}
              onChange={(event) => setOutputTokens(event.target.value)}
            />
          ) : null}
          <Field
            label="Seconds a step"
            help="Requests under way then end."
            inputMode="numeric"
            value={seconds}
            error={problem('seconds')}
            onChange={(event) => setSeconds(event.target.value)}
          />
        </div>
        <p className="text-warn">
          ▲ Everyone who uses the model will feel it: these requests take their places in the engine
          {lasts > 0 ? `, for about ${formatDuration(lasts)} or longer` : ''}.
        </p>
        {start.isError ? <Failure error={start.error} /> : null}
        <div className="flex flex-wrap items-center gap-3">
          <Button
            look="primary"
            type="submit"
            disabled={!isReady || running !== undefined || !settings.success || start.isPending}
          >
            {start.isPending ? 'Starting…' : 'Start benchmark'}
          </Button>
          <span className="text-muted">{whyNot(model, running)}</span>
        </div>
      </form>
    </Card>
  );
}

function whyNot({ state, name }: Model, running: Benchmark | undefined): string | null {
  if (running !== undefined) return 'One is under way.';
  return state === 'ready' ? null : `${name} is ${state}; it can be measured when it is ready.`;
}
