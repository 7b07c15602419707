import { useMutation, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { Plus } from 'lucide-react';
import { useState } from 'react';
import { type ApiKey, scopes } from '../../../contract/keys.ts';
import { call } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Button, buttonClass } from '../components/button.tsx';
import { Confirm } from '../components/confirm.tsx';
import { Find, finds } from '../components/find.tsx';
import { Empty, Failure, Page, Skeleton, Table } from '../components/page.tsx';
import { Status } from '../components/status.tsx';
import { formatAgo, formatCount } from '../format.ts';
import { NewKey } from './new-key.tsx';

/** Fewer are seen at a glance. */
const manyKeys = 8;
const refresh = () => queryClient.invalidateQueries({ queryKey: queries.keys.queryKey });

export function Keys() {
  const { find, add } = useSearch({ from: '/inside/keys' });
  const navigate = useNavigate({ from: '/keys' });
  const keys = useQuery(queries.keys);
  const shown = keys.data?.filter(({ name, prefix }) => finds(find, name, prefix)) ?? [];
  const [revoking, setRevoking] = useState<ApiKey | null>(null);
  const create = (
    <Button look="primary" onClick={() => void navigate({ search: (before) => ({ ...before, add: 'key' as const }) })}>
      <Plus size={16} aria-hidden />
      New key
    </Button>
  );
  return (
    <Page title="API keys" lead="What programs send to use the models." actions={keys.data?.length ? create : null}>
      {keys.isPending ? <Skeleton /> : null}
      {keys.isError ? <Failure error={keys.error} retry={() => void keys.refetch()} /> : null}
      {keys.data?.length === 0 ? (
        <Empty title="No key yet" action={create}>
          An OpenAI client needs a key. Make one for each program or colleague, so that each can be revoked by itself.
        </Empty>
      ) : null}
      {keys.data && (keys.data.length >= manyKeys || find !== undefined) ? (
        <div className="flex">
          <Find
            label="Find a key"
            value={find}
            onChange={(next) => void navigate({ search: (before) => ({ ...before, find: next }), replace: true })}
          />
        </div>
      ) : null}
      {keys.data?.length && shown.length === 0 ? (
        <Empty title="No key matches" action={<Button onClick={() => void navigate({ search: {} })}>Show all</Button>}>
          None has “{find}” in its name or at its beginning.
        </Empty>
      ) : null}
      {shown.length > 0 ? (
        <Table
          label="API keys"
          head={[
            { name: 'Name' },
            { name: 'State' },
            { name: 'May use' },
            { name: 'Networks' },
            { name: 'Last used' },
            { name: 'Requests', right: true },
            { name: 'Actions', right: true },
          ]}
        >
          {shown.map((key) => (
            <tr key={key.id}>
              <td className="px-3 py-2.5">
                <p className="font-medium">{key.name}</p>
                <p className="font-mono text-xs text-muted">{key.prefix}…</p>
              </td>
              <td className="px-3 py-2.5">
                <KeyState apiKey={key} />
              </td>
              <td className="min-w-24 px-3 py-2.5">
                <p>{endpointsOf(key)}</p>
                <p className="text-xs break-words text-muted">
                  {key.models === null ? 'every model' : key.models.join(', ')}
                </p>
              </td>
              <td className="px-3 py-2.5">
                <Networks networks={key.networks} />
              </td>
              <td className="px-3 py-2.5 whitespace-nowrap">
                <p title={key.last_used_at ?? ''}>{key.last_used_at ? formatAgo(key.last_used_at) : 'never'}</p>
                <p className="text-xs text-muted" title={key.created_at}>
                  made {formatAgo(key.created_at)}
                </p>
              </td>
              <td className="px-3 py-2.5 text-right">{formatCount(key.requests)}</td>
              <td className="px-3 py-2.5">
                {key.revoked_at === null ? (
                  <div className="flex flex-col items-end gap-1.5 xl:flex-row xl:justify-end">
                    <Link
                      to="/limits"
                      search={{ edit: `key ${key.id}` }}
                      className={buttonClass()}
                      aria-label={`Limits of ${key.name}`}
                    >
                      Limits
                    </Link>
                    <Button look="danger" aria-label={`Revoke ${key.name}`} onClick={() => setRevoking(key)}>
                      Revoke
                    </Button>
                  </div>
                ) : null}
              </td>
            </tr>
          ))}
        </Table>
      ) : null}
      {add === 'key' ? (
        <NewKey onMade={refresh} onClose={() => void navigate({ search: ({ add: _, ...rest }) => rest })} />
      ) : null}
      {revoking ? <Revoke apiKey={revoking} onClose={() => setRevoking(null)} /> : null}
    </Page>
  );
}

/** The shorter of what it may use and what it may not. */
function endpointsOf(key: ApiKey): string {
  const missing = scopes.filter((scope) => !key.scopes.includes(scope));
  if (missing.length === 0) return 'every endpoint';
  return missing.length < key.scopes.length ? `all but ${missing.join(', ')}` : key.scopes.join(', ');
}

function Networks({ networks }: { networks: ApiKey['networks'] }) {
  if (networks === null) return <span className="text-muted">everywhere</span>;
  const [first, ...others] = networks;
  return (
    <span className="font-mono text-xs whitespace-nowrap" title={networks.join(', ')}>
      {first}
      {others.length > 0 ? ` +${others.length}` : ''}
    </span>
  );
}

function KeyState({ apiKey }: { apiKey: ApiKey }) {
  if (apiKey.revoked_at !== null) return <Status mark="○" word="revoked" tone="muted" />;
  if (apiKey.expires_at !== null && Date.parse(apiKey.expires_at) <= Date.now())
    return <Status mark="▲" word="expired" tone="warn" />;
  return <Status mark="●" word="active" tone="ok" />;
}

function Revoke({ apiKey, onClose }: { apiKey: ApiKey; onClose: () => void }) {
  const revoke = useMutation({
    mutationFn: () => call('revokeKey', { params: { id: apiKey.id } }),
    onSuccess: async () => {
      await refresh();
      onClose();
    },
  });
  return (
    <Confirm
      title={`Revoke ${apiKey.name}?`}
      description="Programs that use it are refused from now on. This can't be undone."
      action="Revoke"
      error={revoke.error}
      busy={revoke.isPending}
      onConfirm={() => revoke.mutate()}
      onClose={onClose}
    />
  );
}
