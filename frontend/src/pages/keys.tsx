import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { type ApiKey, type Scope, scopes } from '../../../contract/keys.ts';
import { call } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Button } from '../components/button.tsx';
import { Code } from '../components/code.tsx';
import { Dialog } from '../components/dialog.tsx';
import { Field } from '../components/field.tsx';
import { Empty, Failure, Page, Skeleton, Table } from '../components/page.tsx';
import { Status } from '../components/status.tsx';
import { formatAgo, formatCount } from '../format.ts';

const refresh = () => queryClient.invalidateQueries({ queryKey: queries.keys.queryKey });

export function Keys() {
  const keys = useQuery(queries.keys);
  const [creating, setCreating] = useState(false);
  const [revoking, setRevoking] = useState<ApiKey | null>(null);
  const create = (
    <Button look="primary" onClick={() => setCreating(true)}>
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
      {keys.data?.length ? (
        <Table
          head={[
            { name: 'Name' },
            { name: 'Key' },
            { name: 'Scopes' },
            { name: 'Made' },
            { name: 'Last used' },
            { name: 'Requests', right: true },
            { name: 'State' },
            { name: 'Actions', right: true },
          ]}
        >
          {keys.data.map((key) => (
            <tr key={key.id}>
              <td className="px-3 py-2.5 font-medium">{key.name}</td>
              <td className="px-3 py-2.5 font-mono text-xs">{key.prefix}…</td>
              <td className="px-3 py-2.5 text-muted">
                {key.scopes.length === scopes.length ? 'all' : key.scopes.join(', ')}
              </td>
              <td className="px-3 py-2.5 whitespace-nowrap" title={key.created_at}>
                {formatAgo(key.created_at)}
              </td>
              <td className="px-3 py-2.5 whitespace-nowrap" title={key.last_used_at ?? ''}>
                {key.last_used_at ? formatAgo(key.last_used_at) : 'never'}
              </td>
              <td className="px-3 py-2.5 text-right">{formatCount(key.requests)}</td>
              <td className="px-3 py-2.5">
                <KeyState apiKey={key} />
              </td>
              <td className="px-3 py-2.5 text-right">
                {key.revoked_at === null ? (
                  <Button look="danger" onClick={() => setRevoking(key)}>
                    Revoke
                  </Button>
                ) : null}
              </td>
            </tr>
          ))}
        </Table>
      ) : null}
      {creating ? <NewKey onClose={() => setCreating(false)} /> : null}
      {revoking ? <Revoke apiKey={revoking} onClose={() => setRevoking(null)} /> : null}
    </Page>
  );
}

function KeyState({ apiKey }: { apiKey: ApiKey }) {
  if (apiKey.revoked_at !== null) return <Status mark="○" word="revoked" tone="muted" />;
  if (apiKey.expires_at !== null && Date.parse(apiKey.expires_at) <= Date.now())
    return <Status mark="▲" word="expired" tone="warn" />;
  return <Status mark="●" word="active" tone="ok" />;
}

function NewKey({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState('');
  const [chosen, setChosen] = useState<readonly Scope[]>(scopes);
  const [expiry, setExpiry] = useState('');
  const create = useMutation({
    mutationFn: () =>
      call('createKey', {
        body: {
          name,
          scopes: [...chosen],
          expires_at: expiry === '' ? null : new Date(`${expiry}T23:59:59`).toISOString(),
        },
      }),
    onSuccess: refresh,
  });
  if (create.data) {
    const { token } = create.data;
    return (
      <Dialog
        title="The key, shown once"
        description="Copy it now: Cortex keeps only a digest of it."
        open
        onClose={onClose}
      >
        <p
          data-testid="token"
          className="rounded-md border border-line bg-raised p-3 font-mono text-xs break-all select-all"
        >
          {token}
        </p>
        <Code
          title="Python (openai)"
          text={`from openai import OpenAI\nclient = OpenAI(base_url="${location.protocol}//${location.hostname}:8084/v1", api_key="${token}")`}
        />
        <div className="flex justify-end">
          <Button look="primary" onClick={onClose}>
            Done
          </Button>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title="New API key" description="For one program or one colleague." open onClose={onClose}>
      <form
        className="space-y-4"
        onSubmit={(event) => {
          event.preventDefault();
          create.mutate();
        }}
      >
        <Field
          label="Name"
          required
          maxLength={64}
          help="Who or what uses it."
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <fieldset className="space-y-1.5">
          <legend className="font-medium">May use</legend>
          {scopes.map((scope) => (
            <label key={scope} className="flex items-center gap-2">
              <input
                type="checkbox"
                checked={chosen.includes(scope)}
                onChange={(event) =>
                  setChosen(event.target.checked ? [...chosen, scope] : chosen.filter((one) => one !== scope))
                }
              />
              {scope}
            </label>
          ))}
        </fieldset>
        <Field
          label="Expires"
          type="date"
          help="Empty: it does not expire."
          value={expiry}
          onChange={(event) => setExpiry(event.target.value)}
        />
        {create.isError ? <Failure error={create.error} /> : null}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" disabled={create.isPending || chosen.length === 0}>
            Create key
          </Button>
        </div>
      </form>
    </Dialog>
  );
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
    <Dialog
      title={`Revoke ${apiKey.name}?`}
      description="Programs that use it are refused from now on. This can't be undone."
      open
      onClose={onClose}
    >
      {revoke.isError ? <Failure error={revoke.error} /> : null}
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Keep it</Button>
        <Button look="danger" disabled={revoke.isPending} onClick={() => revoke.mutate()}>
          Revoke
        </Button>
      </div>
    </Dialog>
  );
}
