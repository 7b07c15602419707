import { useMutation, useQuery } from '@tanstack/react-query';
import { z } from 'zod';
import type { Fix } from '../../../contract/diagnosis.ts';
import type { Model } from '../../../contract/models.ts';
import { call } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Button } from './button.tsx';
import { Failure } from './page.tsx';

const refusal = z.object({ message: z.string(), hint: z.string() });

/** What a model waits for, or how far it is, is no trouble; what has a remedy is. */
export const isTrouble = ({ state, hint }: Model): boolean =>
  state === 'failed' || state === 'unhealthy' || hint !== null;

/** What is wrong with a model, the line that shows it, and what can be done about it here. */
export function Trouble({ model }: { model: Model }) {
  const told =
    model.state === 'stopped'
      ? refusal.safeParse(JSON.parse(sessionStorage.getItem(`refused:${model.id}`) ?? 'null')).data
      : undefined;
  const message = told?.message ?? (isTrouble(model) ? model.reason : null);
  if (!message) return null;
  return (
    <div role="alert" className="space-y-2 rounded-lg border border-bad/50 bg-surface p-4">
      <p className="font-medium text-bad">▲ {message}</p>
      {model.cause && told === undefined ? (
        <p className="rounded bg-raised px-2 py-1 font-mono text-xs wrap-anywhere" data-testid="evidence">
          {model.cause.evidence}
        </p>
      ) : null}
      <p className="text-muted">{told?.hint ?? model.hint}</p>
      {model.wanted === 'running' ? <Remedies model={model} /> : null}
    </div>
  );
}

function Remedies({ model }: { model: Model }) {
  const { data: me } = useQuery(queries.me);
  const refresh = () => queryClient.invalidateQueries({ queryKey: queries.models.queryKey });
  const { id, version } = model;
  const apply = useMutation({
    mutationFn: ({ options }: Fix) => call('updateModel', { params: { id }, body: { version, options } }),
    onSettled: refresh,
  });
  const again = useMutation({ mutationFn: () => call('startModel', { params: { id } }), onSettled: refresh });
  if (!me?.rights.includes('models:write')) return null;
  const isPending = apply.isPending || again.isPending;
  const error = apply.error ?? again.error;
  const fixes = model.cause?.fixes ?? [];
  return (
    <>
      {fixes.length > 0 ? (
        <ul className="space-y-2" aria-label="What may put it right">
          {fixes.map((fix) => (
            <li key={fix.text} className="flex flex-wrap items-center gap-x-3 gap-y-1">
              <Button disabled={isPending} aria-label={`Apply: ${fix.text}`} onClick={() => apply.mutate(fix)}>
                Apply
              </Button>
              <span>{fix.text}</span>
              <code className="font-mono text-xs text-muted">{wordsOf(fix)}</code>
            </li>
          ))}
        </ul>
      ) : null}
      {model.state === 'failed' ? (
        <Button disabled={isPending} onClick={() => again.mutate()}>
          Try again
        </Button>
      ) : null}
      {error === null ? null : <Failure error={error} />}
    </>
  );
}

const wordsOf = ({ options }: Fix): string =>
  Object.entries(options)
    .map(([name, value]) => `${name} = ${shownValue(value)}`)
    .join(', ');

function shownValue(value: Fix['options'][string]): string {
  if (value === null) return "the engine's own";
  return Array.isArray(value) ? value.join(' ') || 'none' : String(value);
}
