import { useMutation, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { Play, Plus, Square } from 'lucide-react';
import type { Model } from '../../../contract/models.ts';
import { call } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Button, buttonClass } from '../components/button.tsx';
import { Segments } from '../components/choice.tsx';
import { Find, finds } from '../components/find.tsx';
import { ImagePulls } from '../components/image-pulls.tsx';
import { Empty, Failure, Page, Skeleton, Table } from '../components/page.tsx';
import { ModelStatus } from '../components/status.tsx';
import { groupNames, groupOf, type ModelGroup, modelGroups } from '../model-groups.ts';

const engines = { llamacpp: 'llama.cpp', vllm: 'vLLM' } as const;
const tasks = { generate: 'chat', embed: 'embeddings' } as const;

/** Fewer are seen at a glance. */
const manyModels = 6;

export function Models() {
  const models = useQuery(queries.models);
  const { data: me } = useQuery(queries.me);
  const mayWrite = me?.rights.includes('models:write') ?? false;
  const add = mayWrite ? (
    <Link to="/models/add" className={buttonClass('primary')}>
      <Plus size={16} aria-hidden />
      Add model
    </Link>
  ) : null;
  return (
    <Page
      title="Models"
      lead="What this machine can serve, and what it serves now."
      actions={models.data?.length ? add : null}
    >
      <ImagePulls />
      {models.isPending ? <Skeleton /> : null}
      {models.isError ? <Failure error={models.error} retry={() => void models.refetch()} /> : null}
      {models.data?.length === 0 ? (
        <Empty title="No model yet" action={add}>
          A model is a folder with weights on this machine: a GGUF file for llama.cpp, or safetensors for vLLM. Nothing
          is downloaded.
        </Empty>
      ) : null}
      {models.data?.length ? <List models={models.data} mayWrite={mayWrite} /> : null}
    </Page>
  );
}

function List({ models, mayWrite }: { models: readonly Model[]; mayWrite: boolean }) {
  const { find, show } = useSearch({ from: '/inside/models' });
  const navigate = useNavigate({ from: '/models' });
  const found = models.filter((model) => finds(find, model.name, model.served_name));
  const shown = found.filter((model) => show === undefined || groupOf(model) === show);
  const count = (group: ModelGroup) => found.filter((model) => groupOf(model) === group).length;
  return (
    <>
      {models.length < manyModels && find === undefined && show === undefined ? null : (
        <div className="flex flex-wrap items-center gap-2">
          <Segments<ModelGroup | 'all'>
            label="Show"
            value={show ?? 'all'}
            options={[
              ['all', `All ${found.length}`],
              ...modelGroups.map((group) => [group, `${groupNames[group]} ${count(group)}`] as const),
            ]}
            onChange={(next) =>
              void navigate({
                search: (before) => ({ ...before, show: next === 'all' ? undefined : next }),
                replace: true,
              })
            }
          />
          <Find
            label="Find a model"
            value={find}
            onChange={(next) => void navigate({ search: (before) => ({ ...before, find: next }), replace: true })}
          />
        </div>
      )}
      {shown.length === 0 ? (
        <Empty
          title="No model matches"
          action={<Button onClick={() => void navigate({ search: {} })}>Show all</Button>}
        >
          {models.length === 1 ? 'The one model is' : `The ${models.length} models are`} left out by what is chosen
          above.
        </Empty>
      ) : (
        <Table
          label="Models"
          head={[
            { name: 'Name' },
            { name: 'Engine', wide: true },
            { name: 'For', wide: true },
            { name: 'State' },
            { name: 'Actions', right: true },
          ]}
        >
          {shown.map((model) => (
            <Row key={model.id} model={model} mayWrite={mayWrite} />
          ))}
        </Table>
      )}
    </>
  );
}

function Row({ model, mayWrite }: { model: Model; mayWrite: boolean }) {
  const change = useMutation({
    mutationFn: () => call(model.wanted === 'running' ? 'stopModel' : 'startModel', { params: { id: model.id } }),
    onSettled: () => queryClient.invalidateQueries({ queryKey: queries.models.queryKey }),
  });
  const running = model.wanted === 'running';
  return (
    <>
      <tr className="hover:bg-raised/50">
        <td className="px-3 py-2.5">
          <Link to="/models/$id" params={{ id: model.id }} className="font-medium text-accent hover:underline">
            {model.name}
          </Link>
          <p className="font-mono text-xs wrap-anywhere text-muted" title="What clients send as model">
            {model.served_name}
          </p>
        </td>
        <td className="hidden px-3 py-2.5 whitespace-nowrap sm:table-cell">{engines[model.engine]}</td>
        <td className="hidden px-3 py-2.5 sm:table-cell">{tasks[model.task]}</td>
        <td className="min-w-28 px-3 py-2.5 sm:w-2/5">
          <ModelStatus state={model.state} reason={model.reason} />
        </td>
        <td className="px-3 py-2.5 text-right">
          {mayWrite ? (
            <Button
              className="sm:min-w-22"
              aria-label={`${running ? 'Stop' : 'Start'} ${model.name}`}
              disabled={change.isPending}
              onClick={() => change.mutate()}
            >
              {running ? <Square size={14} aria-hidden /> : <Play size={14} aria-hidden />}
              <span className="hidden sm:inline">{running ? 'Stop' : 'Start'}</span>
            </Button>
          ) : null}
        </td>
      </tr>
      {change.isError ? (
        <tr>
          <td colSpan={5} className="p-3">
            <Failure error={change.error} />
          </td>
        </tr>
      ) : null}
    </>
  );
}
