import { useQuery } from '@tanstack/react-query';
import { queries } from '../api/queries.ts';
import { Card, Empty, Failure, Page, Skeleton, Table } from '../components/page.tsx';
import { Status } from '../components/status.tsx';
import { formatAgo, formatCount } from '../format.ts';

export function Usage() {
  const usage = useQuery(queries.usage);
  const totals = usage.data?.totals;
  return (
    <Page title="Usage" lead="The newest requests, with the tokens that the engine counted.">
      {usage.isPending ? <Skeleton /> : null}
      {usage.isError ? <Failure error={usage.error} retry={() => void usage.refetch()} /> : null}
      {totals && totals.requests === 0 ? (
        <Empty title="No request yet">
          Each request to /v1 becomes a row here: who asked, which model, how many tokens, how long.
        </Empty>
      ) : null}
      {usage.data && totals && totals.requests > 0 ? (
        <>
          <div className="grid gap-3 sm:grid-cols-3">
            {(
              [
                ['Requests', totals.requests],
                ['Prompt tokens', totals.prompt_tokens],
                ['Completion tokens', totals.completion_tokens],
              ] as const
            ).map(([name, value]) => (
              <Card key={name}>
                <p className="text-muted">{name}</p>
                <p className="text-2xl font-semibold">{formatCount(value)}</p>
              </Card>
            ))}
          </div>
          <Table
            head={[
              { name: 'When' },
              { name: 'Key' },
              { name: 'Model' },
              { name: 'Endpoint' },
              { name: 'Prompt', right: true },
              { name: 'Completion', right: true },
              { name: 'Time', right: true },
              { name: 'Outcome' },
            ]}
          >
            {usage.data.records.map((record) => (
              <tr key={record.request_id}>
                <td className="px-3 py-2 whitespace-nowrap" title={record.at}>
                  {formatAgo(record.at)}
                </td>
                <td className="px-3 py-2">{record.key_name ?? 'playground'}</td>
                <td className="px-3 py-2 font-mono text-xs">{record.served_name}</td>
                <td className="px-3 py-2 font-mono text-xs">{record.endpoint.replace('/v1/', '')}</td>
                <td className="px-3 py-2 text-right">{formatCount(record.prompt_tokens)}</td>
                <td className="px-3 py-2 text-right">
                  {record.estimated ? '≈ ' : ''}
                  {formatCount(record.completion_tokens)}
                </td>
                <td className="px-3 py-2 text-right whitespace-nowrap">
                  {formatCount(Math.round(record.duration_ms))} ms
                </td>
                <td className="px-3 py-2">
                  <Status
                    mark={record.outcome === 'ok' ? '●' : '▲'}
                    word={record.outcome.replace('_', ' ')}
                    tone={record.outcome === 'ok' ? 'ok' : 'warn'}
                    reason={record.outcome === 'ok' ? null : String(record.status)}
                  />
                </td>
              </tr>
            ))}
          </Table>
        </>
      ) : null}
    </Page>
  );
}
