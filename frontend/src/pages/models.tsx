import { useMutation, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Play, Plus, Square } from 'lucide-react';
import type { Model } from '../../../contract/models.ts';
import { call } from '../api/client.ts';
import { useModelEvents } from '../api/model-events.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Button, buttonClass } from '../components/button.tsx';
import { ImagePulls } from '../components/image-pulls.tsx';
import { Empty, Failure, Page, Skeleton, Table } from '../components/page.tsx';
import { ModelStatus } from '../components/status.tsx';

const engines = { llamacpp: 'llama.cpp', vllm: 'vLLM' } as const;
const tasks = { generate: 'chat', embed: 'embeddings' } as const;

export function Models() {
  useModelEvents();
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
      {models.data?.length ? (
        <Table
          label="Models"
          head={[
            { name: 'Name' },
            { name: 'Served as' },
            { name: 'Engine' },
            { name: 'For' },
            { name: 'State' },
            { name: 'Actions', right: true },
          ]}
        >
          {models.data.map((model) => (
            <Row key={model.id} model={model} mayWrite={mayWrite} />
          ))}
        </Table>
      ) : null}
    </Page>
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
        </td>
        <td className="px-3 py-2.5 font-mono text-xs">{model.served_name}</td>
        <td className="px-3 py-2.5">{engines[model.engine]}</td>
        <td className="px-3 py-2.5">{tasks[model.task]}</td>
        <td className="max-w-80 px-3 py-2.5">
          <ModelStatus state={model.state} reason={model.reason} />
        </td>
        <td className="px-3 py-2.5 text-right">
          {mayWrite ? (
            <Button
              aria-label={`${running ? 'Stop' : 'Start'} ${model.name}`}
              disabled={change.isPending}
              onClick={() => change.mutate()}
            >
              {running ? <Square size={14} aria-hidden /> : <Play size={14} aria-hidden />}
              {running ? 'Stop' : 'Start'}
            </Button>
          ) : null}
        </td>
      </tr>
      {change.isError ? (
        <tr>
          <td colSpan={6} className="p-3">
            <Failure error={change.error} />
          </td>
        </tr>
      ) : null}
    </>
  );
}
