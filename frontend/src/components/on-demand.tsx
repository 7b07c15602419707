import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Model } from '../../../contract/models.ts';
import { type OnDemandSettings, onDemandSettings } from '../../../contract/on-demand.ts';
import { call } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Button } from './button.tsx';
import { Dialog } from './dialog.tsx';
import { Field } from './field.tsx';
import { Form } from './form.tsx';
import { Card, Failure, Skeleton } from './page.tsx';

/** Whether a model is loaded by its first request, and for how long it stays. */
export function OnDemand({ model }: { model: Model }) {
  const { data: me } = useQuery(queries.me);
  const settings = useQuery(queries.onDemand(model.id));
  const [editing, setEditing] = useState(false);
  if (settings.isError)
    return (
      <Card title="On demand">
        <Failure error={settings.error} retry={() => void settings.refetch()} />
      </Card>
    );
  if (settings.isPending)
    return (
      <Card title="On demand">
        <Skeleton rows={1} />
      </Card>
    );
  const mayChange = me?.rights.includes('models:write') ?? false;
  return (
    <Card title="On demand">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <p data-testid="on-demand">{wordsOf(settings.data)}</p>
        {mayChange ? (
          <span className="flex gap-2">
            {settings.data === null ? null : <SwitchOff model={model} />}
            <Button onClick={() => setEditing(true)}>{settings.data === null ? 'Switch on' : 'Change'}</Button>
          </span>
        ) : null}
      </div>
      {editing ? <Editor model={model} settings={settings.data} onClose={() => setEditing(false)} /> : null}
    </Card>
  );
}

function wordsOf(settings: OnDemandSettings | null): string {
  if (settings === null) return 'Off: it runs while it is started, and requests do not start it.';
  const { idle_seconds: idle, priority, group } = settings;
  const stays = idle === null ? 'stays until another model needs its room' : `is unloaded after ${idle} s without one`;
  const shares = group === null ? '' : ` · of the group ${group} one is loaded at a time`;
  return `Loaded by its first request, and ${stays} · priority ${priority}${shares}.`;
}

const put = (id: string, settings: OnDemandSettings | null) =>
  call('setOnDemand', { params: { id }, body: { on_demand: settings } });
const refresh = (id: string) => queryClient.invalidateQueries({ queryKey: queries.onDemand(id).queryKey });

function SwitchOff({ model: { id } }: { model: Model }) {
  const off = useMutation({ mutationFn: () => put(id, null), onSettled: () => refresh(id) });
  return (
    <Button disabled={off.isPending} onClick={() => off.mutate()}>
      Switch off
    </Button>
  );
}

function Editor({
  model: { id, name },
  settings,
  onClose,
}: {
  model: Model;
  settings: OnDemandSettings | null;
  onClose: () => void;
}) {
  const [texts, setTexts] = useState(() => {
    const { idle_seconds: idle, priority, group } = settings ?? onDemandSettings.parse({});
    return { idle: String(idle ?? ''), priority: String(priority), group: group ?? '' };
  });
  const read = onDemandSettings.safeParse({
    idle_seconds: texts.idle.trim() === '' ? null : Number(texts.idle),
    priority: Number(texts.priority),
    group: texts.group.trim() === '' ? null : texts.group,
  });
  const problem = (field: keyof OnDemandSettings) => read.error?.issues.find(({ path }) => path[0] === field)?.message;
  const save = useMutation({
    mutationFn: (read: OnDemandSettings) => put(id, read),
    onSuccess: async () => {
      await refresh(id);
      onClose();
    },
  });
  return (
    <Dialog
      title={`${name} on demand`}
      description="Its first request loads it; the request waits meanwhile."
      open
      onClose={onClose}
    >
      <Form
        error={save.error}
        fields={[]}
        busy={save.isPending}
        disabled={!read.success}
        submit="Save"
        onSubmit={() => {
          if (read.success) save.mutate(read.data);
        }}
        onCancel={onClose}
      >
        <Field
          label="Unload after"
          help="Seconds without a request. Empty: it stays until another model needs its room."
          inputMode="numeric"
          error={problem('idle_seconds')}
          value={texts.idle}
          onChange={(event) => setTexts({ ...texts, idle: event.target.value })}
        />
        <Field
          label="Priority"
          help="It makes room for models with the same or a higher one, while nobody uses it."
          inputMode="numeric"
          error={problem('priority')}
          value={texts.priority}
          onChange={(event) => setTexts({ ...texts, priority: event.target.value })}
        />
        <Field
          label="Group"
          help="Of the models with the same group one is loaded at a time: for those that may not share a GPU. Empty: none."
          error={problem('group')}
          value={texts.group}
          onChange={(event) => setTexts({ ...texts, group: event.target.value })}
        />
      </Form>
    </Dialog>
  );
}
