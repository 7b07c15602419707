import { useMutation, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { engineNames } from '../../../contract/engine-options/tables.ts';
import type { FieldChange, RecipeDetail } from '../../../contract/recipes.ts';
import { call } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Button, buttonClass } from '../components/button.tsx';
import { Confirm } from '../components/confirm.tsx';
import { SelectField } from '../components/field.tsx';
import { Card, Facts, Failure, Page, Skeleton, Table } from '../components/page.tsx';
import { formatAgo } from '../format.ts';
import { ApplyRecipe, MakeModel, SaveVersion } from './recipe-use.tsx';

/** One recipe: its versions, what one of them holds, and what can be done with it. */
export function RecipePage() {
  const { id } = useParams({ from: '/inside/recipes/$id' });
  const { version } = useSearch({ from: '/inside/recipes/$id' });
  const detail = useQuery(queries.recipe(id, version));
  if (detail.data) return <Detail detail={detail.data} />;
  return (
    <Page title="Recipe">
      {detail.isError ? <Failure error={detail.error} retry={() => void detail.refetch()} /> : <Skeleton />}
      <Link to="/recipes" className={buttonClass()}>
        All recipes
      </Link>
    </Page>
  );
}

function Detail({ detail }: { detail: RecipeDetail }) {
  const { recipe, versions, version, content } = detail;
  const { use } = useSearch({ from: '/inside/recipes/$id' });
  const navigate = useNavigate({ from: '/recipes/$id' });
  const close = () => void navigate({ search: ({ use: _, ...rest }) => rest });
  const open = (what: 'apply' | 'model' | 'save' | 'delete') => () =>
    void navigate({ search: (before) => ({ ...before, use: what }) });
  const remove = useMutation({
    mutationFn: () => call('deleteRecipe', { params: { id: recipe.id } }),
    onSuccess: async () => {
      await navigate({ to: '/recipes', search: {} });
      await queryClient.invalidateQueries({ queryKey: queries.recipes.queryKey });
    },
  });
  return (
    <Page
      title={recipe.name}
      lead={`${engineNames[recipe.engine]} · version ${version} of ${versions.length}`}
      actions={
        <div className="flex flex-wrap gap-2">
          <Button look="primary" onClick={open('model')}>
            Make a model
          </Button>
          <Button onClick={open('apply')}>Apply to a model</Button>
          <Button onClick={open('save')}>New version</Button>
          <Download id={recipe.id} version={version} />
          <Button look="danger" onClick={open('delete')}>
            Delete
          </Button>
        </div>
      }
    >
      <Versions detail={detail} />
      {versions.length > 1 ? <Difference detail={detail} /> : null}
      <Card title={`Configuration of version ${version}`}>
        <Facts
          facts={[
            ['for', content.task === 'embed' ? 'embeddings' : 'chat'],
            ...(['model_name', 'served_name', 'folder', 'file'] as const).flatMap((name) =>
              content[name] === null ? [] : [[name.replace('_', ' '), content[name]] as const],
            ),
            ...Object.entries(content.options)
              .filter(([, value]) => value !== null && (typeof value !== 'object' || Object.keys(value).length > 0))
              .map(([name, value]) => [name.replaceAll('_', ' '), shown(value)] as const),
          ]}
        />
      </Card>
      {use === 'apply' ? <ApplyRecipe detail={detail} onClose={close} /> : null}
      {use === 'model' ? <MakeModel detail={detail} onClose={close} /> : null}
      {use === 'save' ? <SaveVersion detail={detail} onClose={close} /> : null}
      {use === 'delete' ? (
        <Confirm
          title={`Delete ${recipe.name}?`}
          description={`All ${versions.length} versions are lost. Models that were made from it stay as they are.`}
          action="Delete"
          error={remove.error}
          busy={remove.isPending}
          onConfirm={() => remove.mutate()}
          onClose={close}
        />
      ) : null}
    </Page>
  );
}

const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

function Versions({ detail: { recipe, versions, version } }: { detail: RecipeDetail }) {
  return (
    <Table label="Versions" head={[{ name: 'Version' }, { name: 'Note' }, { name: 'Saved' }]}>
      {versions.map((one) => (
        <tr key={one.version} aria-current={one.version === version ? 'true' : undefined}>
          <td className="w-px px-3 py-2">
            <Link
              to="/recipes/$id"
              params={{ id: recipe.id }}
              search={{ version: one.version }}
              className={`hover:underline ${one.version === version ? 'font-semibold text-text' : 'text-accent'}`}
            >
              {one.version === version ? `▸ ${one.version}` : one.version}
            </Link>
          </td>
          <td className="px-3 py-2 break-words">{one.note || <span className="text-muted">–</span>}</td>
          <td className="w-px px-3 py-2 whitespace-nowrap text-muted" title={one.at}>
            {formatAgo(one.at)} by {one.username}
          </td>
        </tr>
      ))}
    </Table>
  );
}

function Difference({ detail: { recipe, versions, version } }: { detail: RecipeDetail }) {
  const search = useSearch({ from: '/inside/recipes/$id' });
  const navigate = useNavigate({ from: '/recipes/$id' });
  const others = versions.filter((one) => one.version !== version);
  const before = others.find((one) => one.version < version) ?? others[0];
  const from = others.some((one) => one.version === search.from) ? (search.from ?? 1) : (before?.version ?? 1);
  const changes = useQuery(queries.recipeDiff(recipe.id, from, version));
  return (
    <Card title={`What differs in version ${version}`}>
      <div className="space-y-3">
        <div className="max-w-xs">
          <SelectField
            label="Compared with version"
            value={String(from)}
            onChange={(event) =>
              void navigate({ search: (now) => ({ ...now, version, from: Number(event.target.value) }) })
            }
          >
            {others.map((one) => (
              <option key={one.version} value={one.version}>
                {one.version}
              </option>
            ))}
          </SelectField>
        </div>
        {changes.isError ? <Failure error={changes.error} /> : null}
        {changes.data?.length === 0 ? <p className="text-muted">Nothing: the two are the same.</p> : null}
        {changes.data?.length ? <Changes changes={changes.data} from={from} to={version} /> : null}
      </div>
    </Card>
  );
}

function Changes({ changes, from, to }: { changes: readonly FieldChange[]; from: number; to: number }) {
  const value = (one: unknown) => (one === null ? <span className="text-muted">default</span> : shown(one));
  return (
    <Table label="Differences" head={[{ name: 'Field' }, { name: `Version ${from}` }, { name: `Version ${to}` }]}>
      {changes.map(({ field, before, after }) => (
        <tr key={field}>
          <td className="px-3 py-2 font-mono text-xs">{field}</td>
          <td className="px-3 py-2 break-all">{value(before)}</td>
          <td className="px-3 py-2 break-all">{value(after)}</td>
        </tr>
      ))}
    </Table>
  );
}

function Download({ id, version }: { id: string; version: number }) {
  const download = useMutation({
    mutationFn: () => call('recipeFile', { params: { id }, query: { version } }),
    onSuccess: ({ file_name: name, text }) => {
      const address = URL.createObjectURL(new Blob([text], { type: 'application/yaml' }));
      const link = document.createElement('a');
      link.href = address;
      link.download = name;
      link.click();
      URL.revokeObjectURL(address);
    },
  });
  return (
    <Button disabled={download.isPending} onClick={() => download.mutate()}>
      Download
    </Button>
  );
}
