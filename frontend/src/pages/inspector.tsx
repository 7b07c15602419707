import { useMutation, useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import type { Inspection } from '../../../contract/inspector.ts';
import type { UsageRecord } from '../../../contract/usage.ts';
import { call } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { Button } from '../components/button.tsx';
import { Segments, Select } from '../components/choice.tsx';
import { Card, Empty, Failure, Page, Skeleton, Table } from '../components/page.tsx';
import { Status } from '../components/status.tsx';
import { formatAgo, formatDuration } from '../format.ts';
import { InspectedDetails } from './inspected-request.tsx';

const route = getRouteApi('/inside/inspector');
const refresh = () => queryClient.invalidateQueries({ queryKey: queries.inspector.queryKey });

/** Requests with their questions and answers, for the minutes that an administrator asks for. */
export function InspectorPage() {
  const state = useQuery(queries.inspector);
  const { request } = route.useSearch();
  const navigate = route.useNavigate();
  const open = (id: string | undefined) => void navigate({ search: { request: id } });
  const stop = useMutation({ mutationFn: () => call('stopInspector'), onSuccess: refresh });
  const inspection = state.data?.inspection ?? null;
  const requests = state.data?.requests ?? [];
  return (
    <Page
      title="Inspector"
      lead="The next requests whole: what was asked, what was answered."
      actions={
        inspection ? (
          <Button look="danger" disabled={stop.isPending} onClick={() => stop.mutate()}>
            Stop and forget
          </Button>
        ) : null
      }
    >
      {state.isPending ? <Skeleton /> : null}
      {state.isError ? <Failure error={state.error} retry={() => void state.refetch()} /> : null}
      {stop.isError ? <Failure error={stop.error} /> : null}
      {state.data && inspection === null ? <Start /> : null}
      {inspection ? <Running inspection={inspection} /> : null}
      {inspection && requests.length === 0 ? (
        <Empty title="Waiting for a request">
          Send one to /v1, or ask something in the playground. It shows here within two seconds of its end.
        </Empty>
      ) : null}
      {requests.length > 0 ? <Requests requests={requests} onOpen={open} /> : null}
      {request ? <InspectedDetails requestId={request} onClose={() => open(undefined)} /> : null}
    </Page>
  );
}

function Running({ inspection }: { inspection: Inspection }) {
  const isOver = Date.parse(inspection.until) <= Date.now();
  const keys = useQuery(queries.keys);
  const which = [
    inspection.served_name === null ? 'all models' : inspection.served_name,
    inspection.key_id === null
      ? 'all keys'
      : `key ${keys.data?.find(({ id }) => id === inspection.key_id)?.name ?? inspection.key_id}`,
  ].join(', ');
  return (
    <p className="flex flex-wrap gap-x-2 rounded-lg border border-line bg-surface px-4 py-2.5" title={inspection.until}>
      <Status mark={isOver ? '○' : '●'} word={isOver ? 'ended' : 'on'} tone={isOver ? 'muted' : 'warn'} />
      <span className="text-muted">
        {isOver ? '' : 'ends '}
        {formatAgo(inspection.until)} · {which} · started by {inspection.started_by}
      </span>
    </p>
  );
}

const lengths = [
  ['5', '5 minutes'],
  ['15', '15 minutes'],
  ['60', '1 hour'],
] as const;

function Start() {
  const [minutes, setMinutes] = useState<(typeof lengths)[number][0]>('15');
  const [servedName, setServedName] = useState<string>();
  const [keyId, setKeyId] = useState<string>();
  const models = useQuery(queries.models);
  const keys = useQuery(queries.keys);
  const start = useMutation({
    mutationFn: () =>
      call('startInspector', {
        body: { minutes: Number(minutes), served_name: servedName ?? null, key_id: keyId ?? null },
      }),
    onSuccess: refresh,
  });
  return (
    <Card title="The inspector is off">
      <div className="space-y-4">
        <p className="max-w-prose text-muted">
          While it is on, questions and answers of the last 100 requests are kept in the server's memory, 64 kB of each,
          where every administrator can read them. Keys are never kept, and nothing is written to disk. It ends by
          itself.
        </p>
        <div className="flex flex-wrap items-center gap-2">
          <Segments label="For how long" value={minutes} options={lengths} onChange={setMinutes} />
          <Select label="Model" all="All models" value={servedName ?? ''} onChange={setServedName}>
            {models.data?.map(({ id, served_name: name }) => (
              <option key={id} value={name}>
                {name}
              </option>
            ))}
          </Select>
          <Select label="API key" all="All keys" value={keyId ?? ''} onChange={setKeyId}>
            {keys.data
              ?.filter((key) => key.revoked_at === null)
              .map(({ id, name }) => (
                <option key={id} value={id}>
                  {name}
                </option>
              ))}
          </Select>
          <Button look="primary" disabled={start.isPending} onClick={() => start.mutate()}>
            Inspect requests
          </Button>
        </div>
        {start.isError ? <Failure error={start.error} /> : null}
      </div>
    </Card>
  );
}

function Requests({ requests, onOpen }: { requests: readonly UsageRecord[]; onOpen: (id: string) => void }) {
  return (
    <Table
      label="Inspected requests"
      head={[
        { name: 'When' },
        { name: 'Model' },
        { name: 'Endpoint' },
        { name: 'Status', right: true },
        { name: 'Time', right: true },
        { name: 'Cause' },
      ]}
    >
      {requests.map((record) => (
        <tr key={record.request_id}>
          <td className="px-3 py-2 whitespace-nowrap" title={record.at}>
            <button
              type="button"
              className="underline decoration-dotted underline-offset-4 hover:decoration-solid"
              title={`See ${record.request_id}`}
              onClick={() => onOpen(record.request_id)}
            >
              {formatAgo(record.at)}
            </button>
          </td>
          <td className="px-3 py-2 font-mono text-xs whitespace-nowrap">{record.served_name || '–'}</td>
          <td className="px-3 py-2 font-mono text-xs">{record.endpoint.replace('/v1/', '')}</td>
          <td className="px-3 py-2 text-right">{record.status}</td>
          <td className="px-3 py-2 text-right whitespace-nowrap">{formatDuration(record.duration_ms)}</td>
          <td className="px-3 py-2 text-muted">{record.cause ?? ''}</td>
        </tr>
      ))}
    </Table>
  );
}
