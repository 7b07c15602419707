import { useMutation, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { z } from 'zod';
import type { Model } from '../../../contract/models.ts';
import { apiBase } from '../api/base.ts';
import { call } from '../api/client.ts';
import { useModelEvents } from '../api/model-events.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Button, buttonClass } from '../components/button.tsx';
import { Code } from '../components/code.tsx';
import { Dialog } from '../components/dialog.tsx';
import { EngineLog } from '../components/engine-log.tsx';
import { Field } from '../components/field.tsx';
import { ImagePulls } from '../components/image-pulls.tsx';
import { ModelCheckCard } from '../components/model-check.tsx';
import { ModelMemory } from '../components/model-memory.tsx';
import { Card, Facts, Failure, Page, Skeleton } from '../components/page.tsx';
import { Replicas } from '../components/replicas.tsx';
import { ModelStatus } from '../components/status.tsx';
import { formatAgo } from '../format.ts';

export function ModelPage() {
  const { id } = useParams({ from: '/inside/models/$id' });
  const models = useQuery(queries.models);
  const steps = useModelEvents(id);
  if (models.isPending)
    return (
      <Page title="Model">
        <Skeleton />
      </Page>
    );
  if (models.isError)
    return (
      <Page title="Model">
        <Failure error={models.error} retry={() => void models.refetch()} />
      </Page>
    );
  const model = models.data.find((one) => one.id === id);
  if (model === undefined) {
    return (
      <Page title="Model">
        <Failure error={new Error('There is no such model any more.')} />
        <Link to="/models" className={buttonClass()}>
          All models
        </Link>
      </Page>
    );
  }
  return (
    <Page
      title={model.name}
      lead={<span className="font-mono">{model.served_name}</span>}
      actions={<Actions model={model} />}
    >
      <Card>
        <p data-testid="model-state" aria-live="polite">
          <ModelStatus state={model.state} />
          {model.reason !== null && !isTrouble(model) ? (
            <span className="mt-1 block text-muted">{model.reason}</span>
          ) : null}
        </p>
        <p className="mt-1 text-xs text-muted" title={model.since}>
          since {formatAgo(model.since)}
        </p>
      </Card>
      <Trouble model={model} />
      <Replicas model={model} />
      {model.wanted === 'running' ? <ImagePulls image={model.image} /> : null}
      <ModelCheckCard model={model} />
      {model.state === 'ready' ? <TryIt model={model} /> : null}
      {steps.length > 0 ? (
        <Card title="What happened">
          <ol className="space-y-1">
            {steps.map((step) => (
              <li key={`${step.at}${step.text}`} className="flex gap-3">
                <time className="text-muted" title={step.at}>
                  {new Date(step.at).toLocaleTimeString()}
                </time>
                {step.text}
              </li>
            ))}
          </ol>
        </Card>
      ) : null}
      <Card title="Configuration">
        <Facts
          facts={[
            ['Engine', model.engine === 'vllm' ? 'vLLM' : 'llama.cpp'],
            [
              'Image',
              <span key="image" className="font-mono text-xs">
                {model.image}
              </span>,
            ],
            [
              'Folder',
              <span key="folder" className="font-mono text-xs">
                {model.folder}
                {model.file ? `/${model.file}` : ''}
              </span>,
            ],
            ...Object.entries(model.options)
              .filter(([, value]) => value !== null && (typeof value !== 'object' || Object.keys(value).length > 0))
              .map(
                ([name, value]) =>
                  [
                    name.replaceAll('_', ' '),
                    typeof value === 'object' ? JSON.stringify(value) : String(value),
                  ] as const,
              ),
          ]}
        />
      </Card>
      <ModelMemory model={model} />
      <EngineLog model={model} />
    </Page>
  );
}

const refusal = z.object({ message: z.string(), hint: z.string() });

/** What a model waits for, or how far it is, is no trouble; what has a remedy is. */
const isTrouble = ({ state, hint }: Model): boolean => state === 'failed' || state === 'unhealthy' || hint !== null;

function Trouble({ model }: { model: Model }) {
  const told =
    model.state === 'stopped'
      ? refusal.safeParse(JSON.parse(sessionStorage.getItem(`refused:${model.id}`) ?? 'null')).data
      : undefined;
  const message = told?.message ?? (isTrouble(model) ? model.reason : null);
  if (!message) return null;
  return (
    <div role="alert" className="space-y-1 rounded-lg border border-bad/50 bg-surface p-4">
      <p className="font-medium text-bad">▲ {message}</p>
      <p className="text-muted">{told?.hint ?? model.hint}</p>
    </div>
  );
}

function Actions({ model }: { model: Model }) {
  const navigate = useNavigate();
  const { data: me } = useQuery(queries.me);
  const [deleting, setDeleting] = useState(false);
  const [typed, setTyped] = useState('');
  const refresh = () => queryClient.invalidateQueries({ queryKey: queries.models.queryKey });
  const change = useMutation({
    mutationFn: () => {
      sessionStorage.removeItem(`refused:${model.id}`);
      return call(model.wanted === 'running' ? 'stopModel' : 'startModel', { params: { id: model.id } });
    },
    onSettled: refresh,
  });
  const remove = useMutation({
    mutationFn: () => call('deleteModel', { params: { id: model.id } }),
    onSuccess: async () => {
      await refresh();
      await navigate({ to: '/models' });
    },
  });
  if (!me?.rights.includes('models:write')) return null;
  return (
    <>
      <Button
        look={model.wanted === 'running' ? 'plain' : 'primary'}
        disabled={change.isPending}
        onClick={() => change.mutate()}
      >
        {model.wanted === 'running' ? 'Stop' : 'Start'}
      </Button>
      <Link to="/models/$id/edit" params={{ id: model.id }} className={buttonClass()}>
        Edit
      </Link>
      <Button look="danger" onClick={() => setDeleting(true)}>
        Delete
      </Button>
      <Dialog
        title={`Delete ${model.name}?`}
        description="Clients can't use it any more and its configuration is lost. The files in its folder stay."
        open={deleting}
        onClose={() => setDeleting(false)}
      >
        <Field
          label={`Type ${model.served_name} to confirm`}
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
        />
        {remove.isError ? <Failure error={remove.error} /> : null}
        <div className="flex justify-end gap-2">
          <Button onClick={() => setDeleting(false)}>Keep it</Button>
          <Button
            look="danger"
            disabled={typed !== model.served_name || remove.isPending}
            onClick={() => remove.mutate()}
          >
            Delete
          </Button>
        </div>
      </Dialog>
      <Dialog title="It could not be started" description={null} open={change.isError} onClose={() => change.reset()}>
        <Failure error={change.error} />
        <div className="flex justify-end">
          <Button onClick={() => change.reset()}>Close</Button>
        </div>
      </Dialog>
    </>
  );
}

function TryIt({ model }: { model: Model }) {
  const chat = model.task === 'generate';
  const body = chat
    ? `{"model": "${model.served_name}", "messages": [{"role": "user", "content": "Hello"}]}`
    : `{"model": "${model.served_name}", "input": "Hello"}`;
  return (
    <Card title="Use it">
      <div className="space-y-3">
        {chat ? (
          <Link to="/playground" search={{ model: model.served_name }} className={buttonClass('primary')}>
            Try it in the playground
          </Link>
        ) : null}
        <Code
          title="curl"
          text={`curl ${apiBase()}/${chat ? 'chat/completions' : 'embeddings'} \\\n  -H "Authorization: Bearer $CORTEX_API_KEY" \\\n  -H "Content-Type: application/json" \\\n  -d '${body}'`}
        />
        <Code
          title="Python (openai)"
          text={`from openai import OpenAI\nclient = OpenAI(base_url="${apiBase()}", api_key="ctx_…")\n${chat ? `answer = client.chat.completions.create(model="${model.served_name}", messages=[{"role": "user", "content": "Hello"}])\nprint(answer.choices[0].message.content)` : `answer = client.embeddings.create(model="${model.served_name}", input="Hello")`}`}
        />
      </div>
    </Card>
  );
}
