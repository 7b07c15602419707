import { useMutation, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { type Model, type NewModel, newModel } from '../../../contract/models.ts';
import { ApiError, call } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Button, buttonClass } from '../components/button.tsx';
import { Code } from '../components/code.tsx';
import { Field, SelectField } from '../components/field.tsx';
import { MemoryPlanCard } from '../components/memory-plan.tsx';
import { OptionFields } from '../components/option-fields.tsx';
import { optionsOfTexts, textsOfOptions } from '../components/option-texts.ts';
import { Card, Failure, Page, Skeleton } from '../components/page.tsx';
import { PlanIssues } from '../components/plan-issues.tsx';

interface Draft {
  readonly name: string;
  readonly servedName: string;
  readonly task: string;
  readonly replicas: string;
  readonly folder: string;
  readonly file: string;
  readonly options: Readonly<Record<string, string>>;
}

const draftOf = (model: Model): Draft => ({
  name: model.name,
  servedName: model.served_name,
  task: model.task,
  replicas: String(model.replicas),
  folder: model.folder,
  file: model.file ?? '',
  options: textsOfOptions(model.engine, model.options),
});

const toNewModel = ({ engine }: Model, { servedName, file, options, replicas, ...draft }: Draft): unknown => ({
  ...draft,
  engine,
  served_name: servedName,
  replicas: /^\d+$/.test(replicas.trim()) ? Number(replicas) : replicas,
  file: file === '' ? null : file,
  options: optionsOfTexts(engine, options),
});

/** Change a model: its form, then what the change does, then saved. */
export function EditModel() {
  const { id } = useParams({ from: '/inside/models/$id/edit' });
  const model = useQuery({
    queryKey: ['model', id],
    queryFn: async () => (await call('getModel', { params: { id } })).model,
    // A form that is being filled in stays as it is; a save tells whether the model has changed meanwhile.
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
  return (
    <Page
      title={model.data ? `Edit ${model.data.name}` : 'Edit model'}
      lead={model.data ? <span className="font-mono">{model.data.served_name}</span> : null}
      actions={
        <Link to="/models/$id" params={{ id }} className={buttonClass('quiet')}>
          Cancel
        </Link>
      }
    >
      {model.isPending ? <Skeleton /> : null}
      {model.isError ? <Failure error={model.error} retry={() => void model.refetch()} /> : null}
      {model.data ? <Editor key={model.data.version} model={model.data} onReload={() => void model.refetch()} /> : null}
    </Page>
  );
}

function Editor({ model, onReload }: { model: Model; onReload: () => void }) {
  const [draft, setDraft] = useState(() => draftOf(model));
  const [reviewed, setReviewed] = useState<NewModel | null>(null);
  if (reviewed !== null)
    return <Review model={model} changed={reviewed} onBack={() => setReviewed(null)} onReload={onReload} />;
  const parsed = newModel.safeParse(toNewModel(model, draft));
  const problem = (path: string) =>
    parsed.error?.issues.find((issue) => `${issue.path.join('.')}.`.startsWith(`${path}.`))?.message;
  return (
    <Card>
      <form
        className="space-y-4"
        onSubmit={(event) => {
          event.preventDefault();
          if (parsed.success) setReviewed(parsed.data);
        }}
      >
        <div className="grid gap-4 md:grid-cols-2">
          <Field
            label="Name"
            help="As people see it."
            error={problem('name')}
            value={draft.name}
            onChange={(event) => setDraft({ ...draft, name: event.target.value })}
          />
          <Field
            label="Served name"
            help={
              draft.servedName === model.served_name
                ? 'What clients send as "model".'
                : `Clients, keys, aliases and limits that name ${model.served_name} do not follow.`
            }
            error={problem('served_name')}
            value={draft.servedName}
            onChange={(event) => setDraft({ ...draft, servedName: event.target.value })}
          />
          <SelectField
            label="Task"
            value={draft.task}
            onChange={(event) => setDraft({ ...draft, task: event.target.value })}
          >
            <option value="generate">chat</option>
            <option value="embed">embeddings</option>
          </SelectField>
          <Field
            label="Replicas"
            help="How many engines serve it, each with memory of its own."
            inputMode="numeric"
            error={problem('replicas')}
            value={draft.replicas}
            onChange={(event) => setDraft({ ...draft, replicas: event.target.value })}
          />
          <Files model={model} draft={draft} onChange={(folder, file) => setDraft({ ...draft, folder, file })} />
        </div>
        <OptionFields
          engine={model.engine}
          values={draft.options}
          problem={problem}
          onChange={(name, text) => setDraft({ ...draft, options: { ...draft.options, [name]: text } })}
        />
        <Button look="primary" type="submit" disabled={!parsed.success}>
          Continue
        </Button>
      </form>
    </Card>
  );
}

/** The folders there are, and the files of one that the model's engine can run. */
function Files({
  model,
  draft,
  onChange,
}: {
  model: Model;
  draft: Draft;
  onChange: (folder: string, file: string) => void;
}) {
  const folders = useQuery(queries.folders);
  const inspection = useQuery(queries.folder(draft.folder));
  const known = [...new Set([draft.folder, ...(folders.data?.folders.map(({ folder }) => folder) ?? [])])].sort();
  const fitting = inspection.data?.candidates.filter(({ engine }) => engine === model.engine) ?? [];
  const files = [...new Set([draft.file, ...fitting.map(({ file }) => file ?? '')])].filter((file) => file !== '');
  const first = fitting[0]?.file;
  const unfit =
    inspection.data && fitting.length === 0 ? 'Nothing in this folder is for the engine of this model.' : '';
  const failed = inspection.error?.message ?? unfit;
  return (
    <>
      <SelectField
        label="Folder"
        {...(failed === '' ? {} : { error: failed })}
        value={draft.folder}
        onChange={(event) => onChange(event.target.value, '')}
      >
        {known.map((folder) => (
          <option key={folder}>{folder}</option>
        ))}
      </SelectField>
      {model.engine === 'llamacpp' ? (
        <SelectField
          label="Model file"
          value={draft.file}
          onChange={(event) => onChange(draft.folder, event.target.value)}
          {...(draft.file === '' ? { error: first ? 'Choose the file.' : 'There is none to choose.' } : {})}
        >
          {draft.file === '' ? <option value="">–</option> : null}
          {files.map((file) => (
            <option key={file}>{file}</option>
          ))}
        </SelectField>
      ) : null}
    </>
  );
}

function Review({
  model,
  changed,
  onBack,
  onReload,
}: {
  model: Model;
  changed: NewModel;
  onBack: () => void;
  onReload: () => void;
}) {
  const navigate = useNavigate();
  const { id, version } = model;
  const plan = useQuery({
    queryKey: ['plan', id, changed],
    queryFn: () => call('planModel', { body: { ...changed, id } }),
  });
  const save = useMutation({
    mutationFn: () => {
      const { engine: _, ...fields } = changed;
      return call('updateModel', { params: { id }, body: { ...fields, version } });
    },
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: queries.models.queryKey });
      await navigate({ to: '/models/$id', params: { id } });
    },
  });
  const isStale = save.error instanceof ApiError && save.error.code === 'model_changed';
  return (
    <div className="space-y-4">
      {plan.isPending ? <Skeleton rows={2} /> : null}
      {plan.isError ? <Failure error={plan.error} retry={() => void plan.refetch()} /> : null}
      {plan.data ? (
        <p role="status" className="rounded-lg border border-line bg-surface p-4">
          {plan.data.restarts
            ? 'The model runs: saved, its engine ends and starts anew with this command. Requests fail until it is ready again.'
            : model.wanted === 'running'
              ? 'The model runs on: nothing changes that its engine has to be told.'
              : 'The model does not run: the change counts from its next start on.'}
        </p>
      ) : null}
      {plan.data && plan.data.issues.length > 0 ? <PlanIssues issues={plan.data.issues} /> : null}
      {plan.data?.memory ? <MemoryPlanCard plan={plan.data.memory} /> : null}
      {plan.data ? <Code title="The exact command" text={plan.data.command.join(' ')} /> : null}
      {plan.data && plan.data.env.length > 0 ? <Code title="Its environment" text={plan.data.env.join('\n')} /> : null}
      {save.isError ? <Failure error={save.error} /> : null}
      <div className="flex flex-wrap gap-2">
        <Button onClick={onBack}>Back</Button>
        {isStale ? <Button onClick={onReload}>Discard mine and load it again</Button> : null}
        <Button look="primary" disabled={save.isPending || isStale} onClick={() => save.mutate()}>
          {save.isPending ? 'Saving…' : 'Save'}
        </Button>
      </div>
    </div>
  );
}
