import { useMutation } from '@tanstack/react-query';
import { useId, useState } from 'react';
import type { EndpointRecord } from '../../../contract/routing.ts';
import { call, errorAt } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Dialog } from '../components/dialog.tsx';
import { Field, SelectField, TextField } from '../components/field.tsx';
import { Form } from '../components/form.tsx';

const orNull = (text: string): string | null => (text.trim() === '' ? null : text.trim());

/** Adds an endpoint, or changes the one that was there before. */
export function EndpointForm({
  before,
  names,
  onClose,
}: {
  before: EndpointRecord | undefined;
  names: readonly string[];
  onClose: () => void;
}) {
  const [name, setName] = useState(before?.name ?? '');
  const [servedName, setServedName] = useState(before?.served_name ?? '');
  const [task, setTask] = useState(before?.task ?? 'generate');
  const [url, setUrl] = useState(before?.url ?? '');
  const [upstream, setUpstream] = useState(before?.upstream_model ?? '');
  const [apiKey, setApiKey] = useState('');
  const [isWithoutKey, setWithoutKey] = useState(false);
  const [ca, setCa] = useState(before?.ca ?? '');
  const namesId = useId();
  const keepsKey = before?.has_api_key === true && !isWithoutKey;
  const save = useMutation({
    mutationFn: () => {
      const rest = {
        name,
        served_name: servedName.trim(),
        task,
        url: url.trim(),
        upstream_model: orNull(upstream),
        ca: orNull(ca),
      };
      if (before === undefined) return call('createEndpoint', { body: { ...rest, api_key: orNull(apiKey) } });
      const key = keepsKey && apiKey === '' ? {} : { api_key: orNull(apiKey) };
      return call('updateEndpoint', { params: { id: before.id }, body: { ...rest, ...key } });
    },
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: queries.routing.queryKey });
      onClose();
    },
  });
  return (
    <Dialog
      title={before === undefined ? 'Add an endpoint' : `Change ${before.name}`}
      description="An OpenAI-compatible server that Cortex did not start."
      open
      onClose={onClose}
    >
      <Form
        error={save.error}
        fields={['name', 'served_name', 'task', 'url', 'upstream_model', 'api_key', 'ca']}
        busy={save.isPending}
        submit={before === undefined ? 'Add endpoint' : 'Save'}
        onSubmit={() => save.mutate()}
        onCancel={onClose}
      >
        <Field
          label="Name"
          required
          help="What usage and metrics call it."
          error={errorAt(save.error, 'name')}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <Field
          label="Address"
          required
          placeholder="https://gpu-2.example.lan:8000"
          help="What stands before /v1."
          error={errorAt(save.error, 'url')}
          value={url}
          onChange={(event) => setUrl(event.target.value)}
        />
        <div className="grid gap-4 sm:grid-cols-2">
          <Field
            label="Answers for"
            required
            list={namesId}
            help="The name that programs ask for: a new one, or one that is served already."
            error={errorAt(save.error, 'served_name')}
            value={servedName}
            onChange={(event) => setServedName(event.target.value)}
          />
          <SelectField
            label="Does"
            error={errorAt(save.error, 'task')}
            value={task}
            onChange={(event) => setTask(event.target.value === 'embed' ? 'embed' : 'generate')}
          >
            <option value="generate">chat</option>
            <option value="embed">embeddings</option>
          </SelectField>
        </div>
        <datalist id={namesId}>
          {names.map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
        <Field
          label="Model there"
          placeholder={servedName}
          help="What that server calls the model. Empty: the same name."
          error={errorAt(save.error, 'upstream_model')}
          value={upstream}
          onChange={(event) => setUpstream(event.target.value)}
        />
        <Field
          label="API key"
          type="password"
          autoComplete="new-password"
          disabled={isWithoutKey}
          placeholder={keepsKey ? 'set: empty keeps it' : ''}
          help="Kept encrypted and never shown again."
          error={errorAt(save.error, 'api_key')}
          value={apiKey}
          onChange={(event) => setApiKey(event.target.value)}
        />
        {before?.has_api_key ? (
          <label className="flex items-center gap-2">
            <input
              type="checkbox"
              checked={isWithoutKey}
              onChange={(event) => {
                setWithoutKey(event.target.checked);
                setApiKey('');
              }}
            />
            It wants no key any more
          </label>
        ) : null}
        <TextField
          label="TLS authority"
          rows={3}
          placeholder="-----BEGIN CERTIFICATE-----"
          help="PEM text of the authority that signed its certificate. Empty: those that the machine trusts."
          error={errorAt(save.error, 'ca')}
          value={ca}
          onChange={(event) => setCa(event.target.value)}
        />
      </Form>
    </Dialog>
  );
}
