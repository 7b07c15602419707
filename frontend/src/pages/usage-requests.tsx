import { useInfiniteQuery } from '@tanstack/react-query';
import type { ListedUsage, UsageFilter } from '../../../contract/usage.ts';
import { usageQueries } from '../api/usage-queries.ts';
import { Button } from '../components/button.tsx';
import { CopyButton } from '../components/code.tsx';
import { Dialog } from '../components/dialog.tsx';
import { Facts, Failure, Skeleton, Table } from '../components/page.tsx';
import { Status } from '../components/status.tsx';
import { formatAgo, formatCount, formatDuration } from '../format.ts';
import type { UsageRange } from '../usage-range.ts';

/** The newest single requests, and older ones on demand. */
export function UsageRequests({
  range,
  filter,
  opened,
  onOpen,
}: {
  range: UsageRange;
  filter: Pick<UsageFilter, 'model' | 'key_id' | 'outcome'>;
  opened: string | undefined;
  onOpen: (requestId: string | undefined) => void;
}) {
  const pages = useInfiniteQuery(usageQueries.requests(range, filter));
  const records = pages.data?.pages.flatMap((page) => page.records) ?? [];
  const shown = records.find(({ request_id }) => request_id === opened);
  return (
    <section className="space-y-3" aria-label="Requests">
      <h2 className="text-base font-semibold">Requests</h2>
      {pages.isPending ? <Skeleton /> : null}
      {pages.isError ? <Failure error={pages.error} retry={() => void pages.refetch()} /> : null}
      {pages.data && records.length === 0 ? (
        <p className="text-muted">
          Single requests of that time are not kept any more (USAGE_RETENTION_DAYS); their sums are above.
        </p>
      ) : null}
      {records.length > 0 ? (
        <Table
          label="Requests"
          head={[
            { name: 'When' },
            { name: 'Key' },
            { name: 'Model' },
            { name: 'Endpoint' },
            { name: 'Prompt', right: true },
            { name: 'Completion', right: true },
            { name: 'First token', right: true },
            { name: 'Time', right: true },
            { name: 'Outcome' },
          ]}
        >
          {records.map((record) => (
            <Row key={record.request_id} record={record} onOpen={onOpen} />
          ))}
        </Table>
      ) : null}
      {pages.hasNextPage ? (
        <div className="flex justify-center">
          <Button disabled={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>
            {pages.isFetchingNextPage ? 'Loading…' : 'Load more'}
          </Button>
        </div>
      ) : null}
      {shown ? <Details record={shown} onClose={() => onOpen(undefined)} /> : null}
    </section>
  );
}

function Row({ record, onOpen }: { record: ListedUsage; onOpen: (requestId: string) => void }) {
  return (
    <tr>
      <td className="px-3 py-2 whitespace-nowrap" title={record.at}>
        <button
          type="button"
          className="underline decoration-dotted underline-offset-4 hover:decoration-solid"
          title={`Details of ${record.request_id}`}
          onClick={() => onOpen(record.request_id)}
        >
          {formatAgo(record.at)}
        </button>
      </td>
      <td className="max-w-44 truncate px-3 py-2" title={record.key_name ?? undefined}>
        {record.key_name ?? 'playground'}
      </td>
      <td className="max-w-48 truncate px-3 py-2 font-mono text-xs" title={record.served_name}>
        {record.served_name}
      </td>
      <td className="px-3 py-2 font-mono text-xs">{record.endpoint.replace('/v1/', '')}</td>
      <td className="px-3 py-2 text-right">{formatCount(record.prompt_tokens)}</td>
      <td className="px-3 py-2 text-right">
        {record.estimated ? '≈ ' : ''}
        {formatCount(record.completion_tokens)}
      </td>
      <td className="px-3 py-2 text-right whitespace-nowrap">
        {record.streamed ? formatDuration(record.first_byte_ms) : '–'}
      </td>
      <td className="px-3 py-2 text-right whitespace-nowrap">{formatDuration(record.duration_ms)}</td>
      <td className="px-3 py-2 whitespace-nowrap">
        <Outcome record={record} />
      </td>
    </tr>
  );
}

function Outcome({ record }: { record: ListedUsage }) {
  const isOk = record.outcome === 'ok';
  return (
    <Status
      mark={isOk ? '●' : '▲'}
      word={record.outcome.replace('_', ' ')}
      tone={isOk ? 'ok' : 'warn'}
      reason={isOk ? null : String(record.status)}
    />
  );
}

function Details({ record, onClose }: { record: ListedUsage; onClose: () => void }) {
  const facts: readonly (readonly [string, React.ReactNode])[] = [
    ['Outcome', <Outcome key="outcome" record={record} />],
    ['Cause', record.cause ?? '–'],
    ['Status', record.status],
    ['When', new Date(record.at).toLocaleString()],
    ['Key', record.key_name ?? 'playground'],
    ['Asked for', record.requested_name === '' ? '–' : record.requested_name],
    ['Answered by', record.served_name],
    ['Replica', record.replica ?? '–'],
    ['Endpoint', `${record.endpoint}${record.streamed ? ', streamed' : ''}`],
    ['Prompt', `${formatCount(record.prompt_tokens)} tokens, ${formatCount(record.cached_tokens)} from the cache`],
    ['Completion', `${formatCount(record.completion_tokens)} tokens${record.estimated ? ', estimated' : ''}`],
    ['Waited', formatDuration(record.queue_ms)],
    [record.streamed ? 'First token' : 'First byte', formatDuration(record.first_byte_ms)],
    ['In all', formatDuration(record.duration_ms)],
    ['Speed', speedOf(record)],
  ];
  return (
    <Dialog
      title="One request"
      description={
        <span className="flex flex-wrap items-center gap-2">
          <span className="min-w-0 font-mono text-xs break-all">{record.request_id}</span>
          <CopyButton text={record.request_id} label="Copy the request's id" />
        </span>
      }
      open
      onClose={onClose}
    >
      <Facts facts={facts} />
      <div className="flex justify-end">
        <Button onClick={onClose}>Close</Button>
      </div>
    </Dialog>
  );
}

/** Of what came after the first token. */
function speedOf({ streamed, first_byte_ms, duration_ms, completion_tokens }: ListedUsage): string {
  if (!streamed || first_byte_ms === null || duration_ms <= first_byte_ms || completion_tokens < 2) return '–';
  return `${((completion_tokens - 1) / ((duration_ms - first_byte_ms) / 1000)).toFixed(1)} tokens/s`;
}
