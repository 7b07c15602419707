import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { scopes } from '../../../contract/keys.ts';
import { apiBase } from '../api/base.ts';
import { call, errorAt } from '../api/client.ts';
import { queries } from '../api/queries.ts';
import { Button } from '../components/button.tsx';
import { Code } from '../components/code.tsx';
import { Dialog } from '../components/dialog.tsx';
import { Field, TextField } from '../components/field.tsx';
import { Form } from '../components/form.tsx';

/** A key is made, then shown once. */
export function NewKey({ onMade, onClose }: { onMade: () => Promise<void>; onClose: () => void }) {
  const [name, setName] = useState('');
  const [chosen, setChosen] = useState<readonly string[] | null>(null);
  const [models, setModels] = useState<readonly string[] | null>(null);
  const [networks, setNetworks] = useState('');
  const [expiry, setExpiry] = useState('');
  const create = useMutation({
    mutationFn: () =>
      call('createKey', {
        body: {
          name,
          scopes: scopes.filter((scope) => chosen === null || chosen.includes(scope)),
          models: models === null ? null : [...models],
          networks: networks.trim() === '' ? null : networks.trim().split(/[\s,]+/),
          expires_at: expiry === '' ? null : new Date(`${expiry}T23:59:59`).toISOString(),
        },
      }),
    onSuccess: onMade,
  });
  if (create.data) return <Made token={create.data.token} onClose={onClose} />;
  return (
    <Dialog title="New API key" description="For one program or one colleague." open onClose={onClose}>
      <Form
        error={create.error}
        fields={['name', 'scopes', 'models', 'networks', 'expires_at']}
        busy={create.isPending}
        submit="Create key"
        onSubmit={() => create.mutate()}
        onCancel={onClose}
      >
        <Field
          label="Name"
          required
          maxLength={64}
          help="Who or what uses it."
          error={errorAt(create.error, 'name')}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <Choices
          legend="Endpoints"
          all="Every endpoint"
          options={scopes}
          chosen={chosen}
          error={errorAt(create.error, 'scopes')}
          onChange={setChosen}
        />
        <Models chosen={models} error={errorAt(create.error, 'models')} onChange={setModels} />
        <TextField
          label="Networks"
          rows={2}
          placeholder="10.1.0.0/16"
          help="Addresses and CIDR blocks that it may be used from, one a line. Empty: everywhere."
          error={errorAt(create.error, 'networks')}
          value={networks}
          onChange={(event) => setNetworks(event.target.value)}
        />
        <Field
          label="Expires"
          type="date"
          help="Empty: it does not expire."
          error={errorAt(create.error, 'expires_at')}
          value={expiry}
          onChange={(event) => setExpiry(event.target.value)}
        />
      </Form>
    </Dialog>
  );
}

function Models({
  chosen,
  error,
  onChange,
}: {
  chosen: readonly string[] | null;
  error: string | undefined;
  onChange: (chosen: readonly string[] | null) => void;
}) {
  const { data } = useQuery(queries.routing);
  const names = [
    ...(data?.models.map(({ served_name: name }) => name) ?? []),
    ...(data?.aliases.map(({ name }) => name) ?? []),
  ];
  return (
    <Choices
      legend="Models"
      all="Every model, also those to come"
      options={names}
      chosen={chosen}
      error={error}
      onChange={onChange}
    />
  );
}

/** All of them, or those that are ticked. */
function Choices({
  legend,
  all,
  options,
  chosen,
  error,
  onChange,
}: {
  legend: string;
  all: string;
  options: readonly string[];
  chosen: readonly string[] | null;
  error: string | undefined;
  onChange: (chosen: readonly string[] | null) => void;
}) {
  return (
    <fieldset className="min-w-0 space-y-1.5">
      <legend className="text-sm font-medium">{legend}</legend>
      <label className="flex items-center gap-2">
        <input
          type="checkbox"
          checked={chosen === null}
          onChange={(event) => onChange(event.target.checked ? null : options)}
        />
        {all}
      </label>
      {chosen === null ? null : (
        <div className="grid gap-1.5 rounded-md border border-line p-2.5 sm:grid-cols-2">
          {options.length === 0 ? <p className="text-muted">There is none yet.</p> : null}
          {options.map((option) => (
            <label key={option} className="flex min-w-0 items-center gap-2">
              <input
                type="checkbox"
                checked={chosen.includes(option)}
                onChange={(event) =>
                  onChange(options.filter((one) => (one === option ? event.target.checked : chosen.includes(one))))
                }
              />
              <span className="truncate" title={option}>
                {option}
              </span>
            </label>
          ))}
        </div>
      )}
      {error === undefined ? null : <p className="text-xs text-bad">{error}</p>}
    </fieldset>
  );
}

function Made({ token, onClose }: { token: string; onClose: () => void }) {
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
        text={`from openai import OpenAI\nclient = OpenAI(base_url="${apiBase()}", api_key="${token}")`}
      />
      <div className="flex justify-end">
        <Button look="primary" onClick={onClose}>
          Done
        </Button>
      </div>
    </Dialog>
  );
}
