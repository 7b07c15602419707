import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { Plus } from 'lucide-react';
import type { LimitedSubject, LimitSubject } from '../../../contract/routing.ts';
import { queries } from '../api/queries.ts';
import { Button, buttonClass } from '../components/button.tsx';
import { Segments } from '../components/choice.tsx';
import { Empty, Failure, Page, Skeleton, Table } from '../components/page.tsx';
import { formatCount } from '../format.ts';
import { LimitForm } from './limit-form.tsx';
import { limitFields, subjectWords } from './limit-words.ts';

const keyOf = ({ subject, id }: LimitedSubject) => `${subject} ${id}`;
const isLimited = ({ limits }: LimitedSubject) => limitFields.some(({ name }) => limits[name] !== null);

/** What keys, users, organisations and models may use at most. */
export function Limits() {
  const { show, edit } = useSearch({ from: '/inside/limits' });
  const navigate = useNavigate({ from: '/limits' });
  const limits = useQuery(queries.limits);
  const { data: me } = useQuery(queries.me);
  const mayWrite = me?.rights.includes('keys:write') ?? false;
  const all = limits.data ?? [];
  const rows = all.filter((one) => (show === undefined ? isLimited(one) : one.subject === show));
  const choose = (next: string | undefined) => void navigate({ search: (before) => ({ ...before, edit: next }) });
  const add = mayWrite ? (
    <Button look="primary" onClick={() => choose('')}>
      <Plus size={16} aria-hidden />
      Set a limit
    </Button>
  ) : null;
  const isEmpty = show === undefined && rows.length === 0;
  return (
    <Page
      title="Limits"
      lead="A request counts for its key, its user, their organisation and the model; each may have limits."
      actions={limits.data && !isEmpty ? add : null}
    >
      <div>
        <Segments<LimitSubject | 'set'>
          label="Show"
          value={show ?? 'set'}
          options={[
            ['set', 'With limits'],
            ['key', 'Keys'],
            ['user', 'Users'],
            ['organization', 'Organisations'],
            ['model', 'Models'],
          ]}
          onChange={(next) => void navigate({ search: next === 'set' ? {} : { show: next } })}
        />
      </div>
      {limits.isPending ? <Skeleton /> : null}
      {limits.isError ? <Failure error={limits.error} retry={() => void limits.refetch()} /> : null}
      {limits.data && isEmpty ? (
        <Empty title="No limit yet" action={add}>
          Limits keep one key, user, organisation or model from taking more requests or tokens than its share.
        </Empty>
      ) : null}
      {limits.data && !isEmpty && rows.length === 0 ? (
        <p className="text-muted">There is no {subjectWords[show ?? 'key']} yet.</p>
      ) : null}
      {rows.length > 0 ? (
        <Table
          label="Limits"
          head={[
            { name: 'Who or what' },
            ...limitFields.map(({ label }) => ({ name: label, right: true })),
            { name: 'Actions', right: true },
          ]}
        >
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              <td className="px-3 py-2.5">
                <p className={`font-medium ${row.subject === 'model' ? 'font-mono text-xs' : ''}`}>{row.name}</p>
                <p className="text-xs text-muted">
                  {subjectWords[row.subject]}
                  {row.detail === null ? null : <span className="font-mono"> {row.detail}</span>}
                  {row.exists ? '' : ' · not there any more'}
                </p>
              </td>
              {limitFields.map(({ name }) => (
                <td key={name} className="px-3 py-2.5 text-right">
                  {row.limits[name] === null ? <span className="text-muted">–</span> : formatCount(row.limits[name])}
                </td>
              ))}
              <td className="px-3 py-2.5 text-right">
                {mayWrite ? (
                  <Link
                    from="/limits"
                    to="/limits"
                    search={(before) => ({ ...before, edit: keyOf(row) })}
                    className={buttonClass()}
                    aria-label={`Change limits of ${row.name}`}
                  >
                    Change
                  </Link>
                ) : null}
              </td>
            </tr>
          ))}
        </Table>
      ) : null}
      {limits.data && mayWrite && edit !== undefined ? (
        <LimitForm
          key={edit}
          subjects={all}
          chosen={all.find((one) => keyOf(one) === edit)}
          onChoose={(subject) => choose(keyOf(subject))}
          onClose={() => choose(undefined)}
        />
      ) : null}
    </Page>
  );
}
