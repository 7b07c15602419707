import { Link } from '@tanstack/react-router';
import {
  type ServedModel,
  type ServingSettings,
  type SubjectLimit,
  servingSettings,
} from '../../../contract/routing.ts';
import { buttonClass } from '../components/button.tsx';
import { Table } from '../components/page.tsx';
import { ModelStatus, Status } from '../components/status.tsx';

const tasks = { generate: 'chat', embed: 'embeddings' } as const;
const usual = servingSettings.parse({});

/** The names that are served now, and those that have settings of their own although nothing serves them. */
export function ServedNames({
  models,
  serving,
  limits,
  mayWrite,
}: {
  models: readonly ServedModel[];
  serving: Readonly<Record<string, ServingSettings>>;
  limits: readonly SubjectLimit[];
  mayWrite: boolean;
}) {
  const served = new Set(models.map(({ served_name: name }) => name));
  const left = Object.keys(serving).filter((name) => !served.has(name) && told(serving[name]).length > 0);
  return (
    <section className="space-y-3" aria-label="Served names">
      <h2 className="text-base font-semibold">Served names</h2>
      {models.length + left.length === 0 ? (
        <p className="text-muted">None: a model or an external endpoint makes one.</p>
      ) : (
        <Table
          label="Served names"
          head={[
            { name: 'Name' },
            { name: 'For', wide: true },
            { name: 'State' },
            { name: 'Replicas' },
            { name: 'Treatment' },
            { name: 'Actions', right: true },
          ]}
        >
          {models.map((model) => (
            <tr key={model.served_name}>
              <td className="min-w-32 px-3 py-2.5 font-mono text-xs font-medium">{model.served_name}</td>
              <td className="hidden px-3 py-2.5 sm:table-cell">{tasks[model.task]}</td>
              <td className="px-3 py-2.5 whitespace-nowrap">
                <NameState model={model} />
              </td>
              <td className="px-3 py-2.5">
                <Replicas replicas={model.replicas} />
              </td>
              <Treatment name={model.served_name} serving={serving} limits={limits} mayWrite={mayWrite} />
            </tr>
          ))}
          {left.map((name) => (
            <tr key={name}>
              <td className="min-w-32 px-3 py-2.5 font-mono text-xs">{name}</td>
              <td className="hidden px-3 py-2.5 sm:table-cell">–</td>
              <td className="px-3 py-2.5 whitespace-nowrap">
                <Status mark="○" word="not served" tone="muted" />
              </td>
              <td className="px-3 py-2.5 text-muted">none</td>
              <Treatment name={name} serving={serving} limits={limits} mayWrite={mayWrite} />
            </tr>
          ))}
        </Table>
      )}
    </section>
  );
}

function NameState({ model: { state, replicas } }: { model: ServedModel }) {
  if (state !== 'ready') return <ModelStatus state={state} />;
  const well = replicas.filter(({ health }) => health === 'ok').length;
  if (replicas.length === 0) return <Status mark="▲" word="no engine" tone="bad" />;
  if (well === 0) return <Status mark="▲" word="failing" tone="bad" reason="no replica answers" />;
  const reason = well === replicas.length ? null : `${well} of ${replicas.length} replicas`;
  return <Status mark="●" word="ready" tone={reason === null ? 'ok' : 'warn'} reason={reason} />;
}

const healths = {
  ok: { mark: '●', word: 'ok', tone: 'ok' },
  trial: { mark: '◐', word: 'on trial', tone: 'warn' },
  failing: { mark: '▲', word: 'failing', tone: 'bad' },
} as const;

function Replicas({ replicas }: { replicas: ServedModel['replicas'] }) {
  if (replicas.length === 0) return <span className="text-muted">none</span>;
  return (
    <ul className="space-y-0.5">
      {replicas.map(({ id, external, health }) => (
        <li key={id} className="whitespace-nowrap">
          <Status {...healths[health]} /> <span className="ml-1 font-mono text-xs">{id}</span>
          {external ? <span className="text-xs text-muted"> · external</span> : null}
        </li>
      ))}
    </ul>
  );
}

function Treatment({
  name,
  serving,
  limits,
  mayWrite,
}: {
  name: string;
  serving: Readonly<Record<string, ServingSettings>>;
  limits: readonly SubjectLimit[];
  mayWrite: boolean;
}) {
  const isLimited = limits.some(({ subject, id }) => subject === 'model' && id === name);
  const parts = [...told(serving[name]), ...(isLimited ? ['limits'] : [])];
  return (
    <>
      <td className="min-w-32 px-3 py-2.5 text-xs text-muted">{parts.length === 0 ? 'as usual' : parts.join(' · ')}</td>
      <td className="px-3 py-2.5">
        {mayWrite ? (
          <div className="flex justify-end gap-1.5">
            <Link
              to="/limits"
              search={{ edit: `model ${name}` }}
              className={buttonClass()}
              aria-label={`Limits of ${name}`}
            >
              Limits
            </Link>
            <Link to="/routing" search={{ serving: name }} className={buttonClass()} aria-label={`Settings of ${name}`}>
              Settings
            </Link>
          </div>
        ) : null}
      </td>
    </>
  );
}

/** What is not as usual, in a few words. */
function told(settings: ServingSettings | undefined): string[] {
  if (settings === undefined) return [];
  const { max_concurrent: places, fallbacks, parameters } = settings;
  const rules = Object.values(parameters).reduce((sum, rule) => sum + Object.keys(rule).length, 0);
  const timeouts = (
    ['queue_timeout_seconds', 'first_byte_timeout_seconds', 'idle_timeout_seconds', 'total_timeout_seconds'] as const
  ).some((name) => settings[name] !== usual[name]);
  return [
    places === null ? '' : `${places} at a time`,
    settings.queue_limit === usual.queue_limit ? '' : `${settings.queue_limit} may wait`,
    timeouts ? 'timeouts' : '',
    fallbacks.length === 0 ? '' : `${fallbacks.length} ${fallbacks.length === 1 ? 'fallback' : 'fallbacks'}`,
    rules === 0 ? '' : `${rules} parameter ${rules === 1 ? 'rule' : 'rules'}`,
  ].filter((part) => part !== '');
}
