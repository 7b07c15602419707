import { useMutation, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { engineNames } from '../../../contract/engine-options/tables.ts';
import type { MemorySuggestion } from '../../../contract/memory.ts';
import { type Candidate, type NewModel, newModel } from '../../../contract/models.ts';
import { ApiError, call } from '../api/client.ts';
import { queries } from '../api/queries.ts';
import { Button, buttonClass } from '../components/button.tsx';
import { Code } from '../components/code.tsx';
import { Field } from '../components/field.tsx';
import { givenGpus, MemoryPlanCard } from '../components/memory-plan.tsx';
import { OptionFields } from '../components/option-fields.tsx';
import { optionsOfTexts } from '../components/option-texts.ts';
import { Card, Empty, Facts, Failure, Page, Skeleton } from '../components/page.tsx';
import { PlanIssues } from '../components/plan-issues.tsx';
import { formatBytes } from '../format.ts';
import { FolderContents } from './folder-contents.tsx';
import { Hub } from './hub.tsx';

const steps = ['source', 'folder', 'file', 'configure', 'review'] as const;
const stepNames = { source: 'Source', folder: 'Folder', file: 'Model', configure: 'Configure', review: 'Review' };
type Draft = { name: string; servedName: string; options: Record<string, string> };

const choiceClass =
  'block w-full rounded-lg border border-line bg-surface p-4 text-left hover:border-accent disabled:cursor-not-allowed disabled:opacity-60';

/** Add a model in five steps; step, folder and file are in the URL, so a reload stays where it was. */
export function AddModel() {
  const { step = 'source', folder, file } = useSearch({ from: '/inside/models/add' });
  const navigate = useNavigate({ from: '/models/add' });
  const [draft, setDraft] = useState<Draft | null>(null);
  const go = (to: (typeof steps)[number] | 'hub', more: { folder?: string; file?: string } = {}) =>
    void navigate({ search: (before) => ({ ...before, ...more, step: to }) });
  // The hub is where a folder comes from.
  const shownStep = step === 'hub' ? 'folder' : step;
  const hasFolder = step === 'file' || step === 'configure' || step === 'review';
  const inspection = useQuery({ ...queries.folder(folder ?? ''), enabled: folder !== undefined });
  const candidate = inspection.data?.candidates.find((one) => (one.file ?? '') === (file ?? ''));
  const current = draft ?? (candidate === undefined ? null : draftOf(candidate));
  return (
    <Page
      title="Add model"
      lead="From a folder on this machine to a served model."
      actions={
        <Link to="/models" className={buttonClass('quiet')}>
          Cancel
        </Link>
      }
    >
      <Steps shown={shownStep} onGo={go} />
      {step === 'source' ? <Source onOffline={() => go('folder')} onHub={() => go('hub')} /> : null}
      {step === 'hub' ? <Hub /> : null}
      {step === 'folder' ? <Folders onChoose={(chosen) => go('file', { folder: chosen })} /> : null}
      {hasFolder && inspection.isError ? (
        <Failure error={inspection.error} retry={() => void inspection.refetch()} />
      ) : null}
      {hasFolder && inspection.isPending ? <Skeleton /> : null}
      {step === 'file' && inspection.data ? (
        <FolderContents
          inspection={inspection.data}
          onChoose={(one) => {
            setDraft(null);
            go('configure', { file: one.file ?? '' });
          }}
        />
      ) : null}
      {step === 'configure' && candidate && current ? (
        <Configure
          candidate={candidate}
          draft={current}
          onChange={setDraft}
          onContinue={() => {
            setDraft(current);
            go('review');
          }}
        />
      ) : null}
      {step === 'review' && candidate && current && folder ? (
        <Review
          model={toNewModel(candidate, folder, current)}
          onBack={() => go('configure')}
          onApply={(options) => setDraft({ ...current, options: { ...current.options, ...textsOf(options) } })}
        />
      ) : null}
    </Page>
  );
}

/** Where one is on the way; what is behind can be gone back to. */
function Steps({ shown, onGo }: { shown: (typeof steps)[number]; onGo: (to: (typeof steps)[number]) => void }) {
  const at = steps.indexOf(shown);
  return (
    <ol className="flex flex-wrap items-center gap-x-2 gap-y-1 text-xs text-muted" aria-label="Steps">
      {steps.map((name, index) => (
        <li key={name} aria-current={index === at ? 'step' : undefined} className="flex items-center gap-2">
          {index === 0 ? null : <span aria-hidden className="hidden h-px w-6 bg-line sm:block" />}
          <span
            aria-hidden
            className={`grid size-5 place-items-center rounded-full border ${index === at ? 'border-accent bg-accent text-on-accent' : 'border-line bg-surface'}`}
          >
            {index < at ? '✓' : index + 1}
          </span>
          {index < at ? (
            <button
              type="button"
              className="hidden hover:text-text hover:underline sm:inline"
              onClick={() => onGo(name)}
            >
              {stepNames[name]}
            </button>
          ) : (
            <span className={index === at ? 'font-semibold text-text' : 'hidden sm:inline'}>{stepNames[name]}</span>
          )}
        </li>
      ))}
    </ol>
  );
}

function Source({ onOffline, onHub }: { onOffline: () => void; onHub: () => void }) {
  const { data: downloads } = useQuery(queries.downloads);
  const isOffline = downloads?.offline ?? true;
  return (
    <div className="grid gap-3 md:grid-cols-2">
      <button type="button" className={choiceClass} onClick={onOffline}>
        <span className="font-medium">Offline</span>
        <span className="mt-1 block text-muted">From a folder on this machine. Nothing is downloaded.</span>
      </button>
      <button type="button" className={choiceClass} onClick={onHub} disabled={isOffline}>
        <span className="font-medium">From a hub</span>
        <span className="mt-1 block text-muted">
          {downloads?.offline
            ? 'Not possible while nothing may be asked of the network. Bring the model in a package.'
            : `Downloaded from ${downloads?.endpoint ?? 'the hub'} into a folder on this machine.`}
        </span>
      </button>
    </div>
  );
}

function Folders({ onChoose }: { onChoose: (folder: string) => void }) {
  const folders = useQuery(queries.folders);
  if (folders.isPending) return <Skeleton />;
  if (folders.isError) return <Failure error={folders.error} retry={() => void folders.refetch()} />;
  const { root, folders: found, incomplete } = folders.data;
  const again = <Button onClick={() => void folders.refetch()}>Look again</Button>;
  if (found.length === 0) {
    return (
      <Empty title="No model folder found" action={again}>
        Copy a folder with a .gguf file, or with .safetensors files, to <code className="font-mono">{root}</code> on the
        machine that runs Cortex.
        {incomplete.map((sentence) => (
          <p key={sentence}>{sentence}</p>
        ))}
      </Empty>
    );
  }
  return (
    <Card title={`Folders below ${root}`}>
      <div className="space-y-3">
        {found.map(({ folder, sizeBytes, formats, used_by }) => (
          <button key={folder} type="button" className={choiceClass} onClick={() => onChoose(folder)}>
            <span className="font-mono font-medium">{folder}</span>
            <span className="mt-1 block text-muted">
              {formats.join(' and ')} · {formatBytes(sizeBytes)}
              {used_by.length > 0 ? ` · used by ${used_by.join(', ')}` : ''}
            </span>
          </button>
        ))}
        {incomplete.map((sentence) => (
          <p key={sentence} className="text-muted">
            {sentence}
          </p>
        ))}
        {again}
      </div>
    </Card>
  );
}

function draftOf(candidate: Candidate): Draft {
  const servedName =
    candidate.label
      .toLowerCase()
      .replace(/[^a-z0-9._-]+/g, '-')
      .replace(/^[^a-z0-9]+|-+$/g, '') || 'model';
  return { name: candidate.label, servedName, options: {} };
}

/** What the form holds is text; the contract's schema says what it means and what is wrong with it. */
function toNewModel(candidate: Candidate, folder: string, draft: Draft): unknown {
  return {
    engine: candidate.engine,
    task: candidate.task,
    file: candidate.file,
    folder,
    name: draft.name,
    served_name: draft.servedName,
    options: optionsOfTexts(candidate.engine, draft.options),
  };
}

function Configure({
  candidate,
  draft,
  onChange,
  onContinue,
}: {
  candidate: Candidate;
  draft: Draft;
  onChange: (draft: Draft) => void;
  onContinue: () => void;
}) {
  const parsed = newModel.safeParse(toNewModel(candidate, 'x', draft));
  const problem = (path: string) =>
    parsed.success
      ? undefined
      : parsed.error.issues.find((issue) => `${issue.path.join('.')}.`.startsWith(`${path}.`))?.message;
  return (
    <Card>
      <form
        className="space-y-4"
        onSubmit={(event) => {
          event.preventDefault();
          onContinue();
        }}
      >
        <div className="grid gap-4 md:grid-cols-2">
          <Field
            label="Name"
            help="As people see it."
            error={problem('name')}
            value={draft.name}
            onChange={(event) => onChange({ ...draft, name: event.target.value })}
          />
          <Field
            label="Served name"
            help={'What clients send as "model".'}
            error={problem('served_name')}
            value={draft.servedName}
            onChange={(event) => onChange({ ...draft, servedName: event.target.value })}
          />
        </div>
        <OptionFields
          engine={candidate.engine}
          values={draft.options}
          problem={problem}
          onChange={(name, text) => onChange({ ...draft, options: { ...draft.options, [name]: text } })}
        />
        <Button look="primary" type="submit" disabled={!parsed.success}>
          Continue
        </Button>
      </form>
    </Card>
  );
}

type Apply = (options: MemorySuggestion['options']) => void;

/** A suggestion's options as the form holds them. */
const textsOf = (options: MemorySuggestion['options']): Record<string, string> =>
  Object.fromEntries(Object.entries(options).map(([name, value]) => [name, String(value)]));

function Review({ model, onBack, onApply }: { model: unknown; onBack: () => void; onApply: Apply }) {
  const parsed = newModel.safeParse(model);
  if (!parsed.success) return <Failure error={new Error('The configuration is not valid any more.')} retry={onBack} />;
  return <ReviewValid model={parsed.data} onBack={onBack} onApply={onApply} />;
}

function ReviewValid({ model, onBack, onApply }: { model: NewModel; onBack: () => void; onApply: Apply }) {
  const navigate = useNavigate();
  const plan = useQuery({ queryKey: ['plan', model], queryFn: () => call('planModel', { body: model }) });
  const create = useMutation({
    mutationFn: async () => {
      const made = await call('createModel', { body: model });
      // A refused start leaves the model: its page shows the reason and a button to try again.
      const refusal = await call('startModel', { params: { id: made.model.id } }).then(
        () => null,
        (error: unknown) => error,
      );
      return { id: made.model.id, refusal };
    },
    onSuccess: ({ id, refusal }) => {
      if (refusal instanceof ApiError)
        sessionStorage.setItem(`refused:${id}`, JSON.stringify({ message: refusal.message, hint: refusal.hint }));
      return navigate({ to: '/models/$id', params: { id } });
    },
  });
  return (
    <div className="space-y-4">
      <Card title="Review">
        <Facts
          facts={[
            ['Name', model.name],
            [
              'Served as',
              <span key="name" className="font-mono">
                {model.served_name}
              </span>,
            ],
            [
              'Folder',
              <span key="folder" className="font-mono">
                {model.folder}
                {model.file ? `/${model.file}` : ''}
              </span>,
            ],
            ['Engine', `${engineNames[model.engine]} ${plan.data?.engine_version ?? ''}`],
            [
              'Image',
              plan.data
                ? `${plan.data.image} ${plan.data.image_cached ? '(on this machine)' : '(not on this machine)'}`
                : '…',
            ],
            ['GPUs', plan.data ? givenGpus(plan.data) : '…'],
          ]}
        />
      </Card>
      {plan.isPending ? <Skeleton rows={3} /> : null}
      {plan.isError ? <Failure error={plan.error} retry={() => void plan.refetch()} /> : null}
      {plan.data && plan.data.issues.length > 0 ? <PlanIssues issues={plan.data.issues} /> : null}
      {plan.data?.memory ? <MemoryPlanCard plan={plan.data.memory} onApply={onApply} /> : null}
      {plan.data ? <Code title="The exact command" text={plan.data.command.join(' ')} /> : null}
      {plan.data && plan.data.env.length > 0 ? <Code title="Its environment" text={plan.data.env.join('\n')} /> : null}
      {create.isError ? <Failure error={create.error} /> : null}
      <div className="flex gap-2">
        <Button onClick={onBack}>Back</Button>
        <Button look="primary" disabled={create.isPending || create.isSuccess} onClick={() => create.mutate()}>
          {create.isPending ? 'Creating…' : 'Create and start'}
        </Button>
      </div>
    </div>
  );
}
