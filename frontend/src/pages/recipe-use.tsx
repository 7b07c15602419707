import { useMutation, useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import type { RecipeDetail } from '../../../contract/recipes.ts';
import { call, errorAt } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Dialog } from '../components/dialog.tsx';
import { Field, SelectField } from '../components/field.tsx';
import { Form } from '../components/form.tsx';

interface Use {
  detail: RecipeDetail;
  onClose: () => void;
}
type Texts = Readonly<Record<string, string>>;

const given = (texts: Texts) => Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== ''));

/** Gives a model the options of the version that is shown. */
export function ApplyRecipe({ detail, onClose }: Use) {
  const navigate = useNavigate();
  const models = useQuery(queries.models);
  const [id, setId] = useState('');
  const [secrets, setSecrets] = useState<Texts>({});
  const fitting = models.data?.filter(({ engine }) => engine === detail.content.engine) ?? [];
  const model = fitting.find((one) => one.id === id);
  const apply = useMutation({
    mutationFn: () =>
      call('applyRecipe', {
        params: { id: detail.recipe.id },
        body: {
          version: detail.version,
          model_id: id,
          model_version: model?.version ?? 1,
          secrets: given(secrets),
        },
      }),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: queries.models.queryKey });
      await navigate({ to: '/models/$id', params: { id } });
    },
  });
  return (
    <Dialog
      title={`Apply ${detail.recipe.name}, version ${detail.version}`}
      description="The model gets the options of this version instead of its own; its name and folder stay. One that runs starts anew."
      open
      onClose={onClose}
    >
      <Form
        error={apply.error}
        fields={detail.secrets}
        busy={apply.isPending}
        disabled={model === undefined}
        submit="Apply"
        onSubmit={() => apply.mutate()}
        onCancel={onClose}
      >
        <SelectField
          label="Model"
          help={fitting.length === 0 ? 'There is no model of this engine.' : null}
          value={id}
          onChange={(event) => setId(event.target.value)}
        >
          <option value="">–</option>
          {fitting.map((one) => (
            <option key={one.id} value={one.id}>
              {one.name} ({one.served_name})
            </option>
          ))}
        </SelectField>
        <Secrets
          fields={detail.secrets}
          help="Left empty, the model keeps its own."
          texts={secrets}
          error={apply.error}
          onChange={setSecrets}
        />
      </Form>
    </Dialog>
  );
}

/** Makes a new model of the version that is shown. */
export function MakeModel({ detail, onClose }: Use) {
  const navigate = useNavigate();
  const { content } = detail;
  const folders = useQuery(queries.folders);
  const [secrets, setSecrets] = useState<Texts>({});
  const [place, setPlace] = useState({
    name: content.model_name ?? '',
    servedName: content.served_name ?? '',
    folder: content.folder ?? '',
    file: content.file ?? '',
  });
  const inspection = useQuery({ ...queries.folder(place.folder), enabled: place.folder !== '' });
  const files = (inspection.data?.candidates ?? []).filter(({ engine }) => engine === content.engine);
  const names = [...new Set([place.file, ...files.map(({ file }) => file ?? '')])].filter(Boolean);
  const known = [...new Set([place.folder, ...(folders.data?.folders.map(({ folder }) => folder) ?? [])])].filter(
    Boolean,
  );
  const make = useMutation({
    mutationFn: () =>
      call('makeModelOfRecipe', {
        params: { id: detail.recipe.id },
        body: {
          version: detail.version,
          served_name: place.servedName,
          folder: place.folder,
          file: place.file === '' ? null : place.file,
          secrets: given(secrets),
          ...(place.name === '' ? {} : { name: place.name }),
        },
      }),
    onSuccess: async ({ model }) => {
      await queryClient.invalidateQueries({ queryKey: queries.models.queryKey });
      await navigate({ to: '/models/$id', params: { id: model.id } });
    },
  });
  const isGguf = content.engine === 'llamacpp';
  return (
    <Dialog
      title={`A model of ${detail.recipe.name}, version ${detail.version}`}
      description="It is made as the recipe says, and not started yet."
      open
      onClose={onClose}
    >
      <Form
        error={make.error}
        fields={['name', 'served_name', 'folder', 'file', ...detail.secrets]}
        busy={make.isPending}
        disabled={place.servedName === '' || place.folder === '' || (isGguf && place.file === '')}
        submit="Make the model"
        onSubmit={() => make.mutate()}
        onCancel={onClose}
      >
        <Field
          label="Name"
          error={errorAt(make.error, 'name')}
          value={place.name}
          onChange={(event) => setPlace({ ...place, name: event.target.value })}
        />
        <Field
          label="Served name"
          help={'What clients send as "model".'}
          error={errorAt(make.error, 'served_name')}
          value={place.servedName}
          onChange={(event) => setPlace({ ...place, servedName: event.target.value })}
        />
        <SelectField
          label="Folder"
          error={errorAt(make.error, 'folder') ?? inspection.error?.message}
          value={place.folder}
          onChange={(event) => setPlace({ ...place, folder: event.target.value, file: '' })}
        >
          <option value="">–</option>
          {known.map((folder) => (
            <option key={folder}>{folder}</option>
          ))}
        </SelectField>
        {isGguf ? (
          <SelectField
            label="Model file"
            error={errorAt(make.error, 'file')}
            value={place.file}
            onChange={(event) => setPlace({ ...place, file: event.target.value })}
          >
            <option value="">–</option>
            {names.map((file) => (
              <option key={file}>{file}</option>
            ))}
          </SelectField>
        ) : null}
        <Secrets
          fields={detail.secrets}
          help="Left out of the recipe: the model needs it."
          texts={secrets}
          error={make.error}
          onChange={setSecrets}
        />
      </Form>
    </Dialog>
  );
}

/** Saves a model as it is now as the next version. */
export function SaveVersion({ detail, onClose }: Use) {
  const navigate = useNavigate({ from: '/recipes/$id' });
  const models = useQuery(queries.models);
  const [modelId, setModelId] = useState('');
  const [note, setNote] = useState('');
  const save = useMutation({
    mutationFn: () =>
      call('saveRecipe', {
        params: { id: detail.recipe.id },
        body: { version: detail.recipe.latest.version, note, source: { model_id: modelId } },
      }),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: queries.recipes.queryKey });
      await navigate({ search: {} });
    },
  });
  return (
    <Dialog
      title={`A new version of ${detail.recipe.name}`}
      description="A model as it is configured now. Where nothing differs no version is made."
      open
      onClose={onClose}
    >
      <Form
        error={save.error}
        fields={['note']}
        busy={save.isPending}
        disabled={modelId === ''}
        submit="Save"
        onSubmit={() => save.mutate()}
        onCancel={onClose}
      >
        <SelectField label="Model" value={modelId} onChange={(event) => setModelId(event.target.value)}>
          <option value="">–</option>
          {models.data?.map((model) => (
            <option key={model.id} value={model.id}>
              {model.name} ({model.served_name})
            </option>
          ))}
        </SelectField>
        <Field
          label="Note"
          error={errorAt(save.error, 'note')}
          value={note}
          onChange={(event) => setNote(event.target.value)}
        />
      </Form>
    </Dialog>
  );
}

function Secrets({
  fields,
  help,
  texts,
  error,
  onChange,
}: {
  fields: readonly string[];
  help: string;
  texts: Texts;
  error: unknown;
  onChange: (texts: Texts) => void;
}) {
  return fields.map((field) => (
    <Field
      key={field}
      type="password"
      autoComplete="off"
      label={field.replace(/^options\.extra_(env|args)\./, (_, where: string) => (where === 'env' ? '' : 'argument '))}
      help={help}
      error={errorAt(error, field)}
      value={texts[field] ?? ''}
      onChange={(event) => onChange({ ...texts, [field]: event.target.value })}
    />
  ));
}
