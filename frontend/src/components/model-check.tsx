import { useMutation, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { ReplicaCheck } from '../../../contract/model-check.ts';
import type { Model } from '../../../contract/models.ts';
import { call } from '../api/client.ts';
import { queries } from '../api/queries.ts';
import { formatAgo, formatDuration, formatRate } from '../format.ts';
import { Button, buttonClass } from './button.tsx';
import { Code } from './code.tsx';
import { Card, Failure } from './page.tsx';
import { Status } from './status.tsx';

/** One click asks each replica something small; how each answered stands there. */
export function ModelCheckCard({ model }: { model: Model }) {
  const { data: me } = useQuery(queries.me);
  const check = useMutation({
    mutationFn: async () => (await call('checkModel', { params: { id: model.id } })).check,
  });
  const isReady = model.state === 'ready';
  return (
    <Card title="Check and measure">
      <div className="flex flex-wrap items-center gap-2">
        {me?.rights.includes('models:write') ? (
          <Button disabled={!isReady || check.isPending} onClick={() => check.mutate()}>
            {check.isPending ? 'Checking…' : 'Check'}
          </Button>
        ) : null}
        <Link to="/models/$id/benchmark" params={{ id: model.id }} className={buttonClass()}>
          Benchmark
        </Link>
        <span className="text-muted">
          {isReady
            ? 'A check sends one small request to each replica; no key is charged for it.'
            : 'It can be checked and measured when it is ready.'}
        </span>
      </div>
      {check.isError ? (
        <div className="mt-3">
          <Failure error={check.error} retry={() => check.mutate()} />
        </div>
      ) : null}
      {check.data && !check.isPending ? (
        <div className="mt-3 space-y-3" aria-live="polite" data-testid="check">
          {check.data.replicas.map((one) => (
            <Replica key={one.replica} check={one} alone={check.data.replicas.length === 1} />
          ))}
          <p className="text-xs text-muted" title={check.data.at}>
            checked {formatAgo(check.data.at)}
          </p>
        </div>
      ) : null}
    </Card>
  );
}

function Replica({ check, alone }: { check: ReplicaCheck; alone: boolean }) {
  const { replica, ok, answer, error, note, request } = check;
  return (
    <div className="space-y-1">
      <p className="flex min-w-0 flex-wrap items-baseline gap-x-3">
        {alone ? null : <span className="font-mono text-muted">{replica}</span>}
        <Status
          {...(ok ? { mark: '●', tone: 'ok', word: 'answered' } : { mark: '▲', tone: 'bad', word: 'did not answer' })}
        />
        <span className="text-muted tabular-nums">{figuresOf(check)}</span>
      </p>
      {answer === null ? null : (
        <blockquote className="border-l-2 border-line pl-3 break-words whitespace-pre-wrap">{answer}</blockquote>
      )}
      {error === null ? null : (
        <p className="break-words text-bad">
          {error.message} <span className="text-muted">{error.hint}</span>
        </p>
      )}
      {note === null ? null : <p className="text-muted">{note}</p>}
      {request === null ? null : (
        <details>
          <summary className="cursor-pointer text-muted">What was asked</summary>
          <Code title="Request to the engine" text={JSON.stringify(request, null, 2)} />
        </details>
      )}
    </div>
  );
}

function figuresOf(check: ReplicaCheck): string {
  const { prompt_tokens, completion_tokens, first_token_ms, duration_ms, tokens_per_second } = check;
  const written = completion_tokens === null || completion_tokens === 0 ? null : `${completion_tokens} tokens`;
  return [
    duration_ms === null ? null : `in ${formatDuration(duration_ms)}`,
    first_token_ms === null ? null : `first token after ${formatDuration(first_token_ms)}`,
    prompt_tokens === null ? null : `prompt of ${prompt_tokens} tokens`,
    written,
    tokens_per_second === null ? null : `${formatRate(tokens_per_second)} tokens/s`,
  ]
    .filter((part) => part !== null)
    .join(' · ');
}
