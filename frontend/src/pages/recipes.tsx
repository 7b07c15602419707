import { useMutation, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { engineNames } from '../../../contract/engine-options/tables.ts';
import { call, errorAt } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { buttonClass } from '../components/button.tsx';
import { Dialog } from '../components/dialog.tsx';
import { Field, SelectField } from '../components/field.tsx';
import { Form } from '../components/form.tsx';
import { Empty, Failure, Page, Skeleton, Table } from '../components/page.tsx';
import { formatAgo } from '../format.ts';
import { ImportRecipes } from './recipe-import.tsx';

/** Named configurations of models, each with its newest version. */
export function Recipes() {
  const { add } = useSearch({ from: '/inside/recipes' });
  const navigate = useNavigate({ from: '/recipes' });
  const recipes = useQuery(queries.recipes);
  const close = () => void navigate({ search: {} });
  const actions = (
    <>
      <Link to="/recipes" search={{ add: 'file' }} className={buttonClass()}>
        Import a file
      </Link>
      <Link to="/recipes" search={{ add: 'model' }} className={buttonClass('primary')}>
        Keep a model
      </Link>
    </>
  );
  return (
    <Page
      title="Recipes"
      lead="Configurations of models under a name, version by version, without secrets."
      actions={recipes.data?.length ? actions : null}
    >
      {recipes.isPending ? <Skeleton /> : null}
      {recipes.isError ? <Failure error={recipes.error} retry={() => void recipes.refetch()} /> : null}
      {recipes.data?.length === 0 ? (
        <Empty title="No recipe yet" action={<div className="flex flex-wrap justify-center gap-2">{actions}</div>}>
          A recipe keeps how a model is configured, so that it can be made again, compared, or given to another model.
          Files of recipes are read as well, also those of the Python Cortex.
        </Empty>
      ) : null}
      {recipes.data?.length ? (
        <Table
          label="Recipes"
          head={[
            { name: 'Name' },
            { name: 'Engine' },
            { name: 'For' },
            { name: 'Version', right: true },
            { name: 'Saved' },
          ]}
        >
          {recipes.data.map(({ id, name, engine, task, latest }) => (
            <tr key={id}>
              <td className="px-3 py-2">
                <Link to="/recipes/$id" params={{ id }} className="font-medium text-accent hover:underline">
                  {name}
                </Link>
                {latest.note ? <span className="block max-w-md truncate text-muted">{latest.note}</span> : null}
              </td>
              <td className="px-3 py-2 whitespace-nowrap">{engineNames[engine]}</td>
              <td className="px-3 py-2">{task === 'embed' ? 'embeddings' : 'chat'}</td>
              <td className="px-3 py-2 text-right tabular-nums">{latest.version}</td>
              <td className="px-3 py-2 whitespace-nowrap text-muted" title={latest.at}>
                {formatAgo(latest.at)} by {latest.username}
              </td>
            </tr>
          ))}
        </Table>
      ) : null}
      {add === 'model' ? <KeepModel onClose={close} /> : null}
      {add === 'file' ? <ImportRecipes onClose={close} /> : null}
    </Page>
  );
}

function KeepModel({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  const models = useQuery(queries.models);
  const [modelId, setModelId] = useState('');
  const [name, setName] = useState('');
  const [note, setNote] = useState('');
  const keep = useMutation({
    mutationFn: () => call('createRecipe', { body: { name, note, source: { model_id: modelId } } }),
    onSuccess: async ({ recipe }) => {
      await queryClient.invalidateQueries({ queryKey: queries.recipes.queryKey });
      await navigate({ to: '/recipes/$id', params: { id: recipe.id } });
    },
  });
  return (
    <Dialog
      title="Keep a model as a recipe"
      description="Its configuration as it is now. Of its secrets only the names are kept."
      open
      onClose={onClose}
    >
      <Form
        error={keep.error}
        fields={['name', 'note']}
        busy={keep.isPending}
        disabled={modelId === '' || name === ''}
        submit="Keep"
        onSubmit={() => keep.mutate()}
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
          label="Name"
          help="Of the recipe."
          error={errorAt(keep.error, 'name')}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <Field
          label="Note"
          help="What is good about it; may be left empty."
          error={errorAt(keep.error, 'note')}
          value={note}
          onChange={(event) => setNote(event.target.value)}
        />
      </Form>
    </Dialog>
  );
}
