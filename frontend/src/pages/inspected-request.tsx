import { useQuery } from '@tanstack/react-query';
import { type InspectedMessage, inspectedBytes } from '../../../contract/inspector.ts';
import { queries } from '../api/queries.ts';
import { Button } from '../components/button.tsx';
import { Code, CopyButton } from '../components/code.tsx';
import { Dialog } from '../components/dialog.tsx';
import { Facts, Failure, Skeleton } from '../components/page.tsx';
import { formatBytes, formatDuration } from '../format.ts';

export function InspectedDetails({ requestId, onClose }: { requestId: string; onClose: () => void }) {
  const found = useQuery(queries.inspected(requestId));
  return (
    <Dialog
      title="One request"
      description={
        <span className="flex flex-wrap items-center gap-2">
          <span className="min-w-0 font-mono text-xs break-all">{requestId}</span>
          <CopyButton text={requestId} label="Copy the request's id" />
        </span>
      }
      size="wide"
      open
      onClose={onClose}
    >
      {found.isPending ? <Skeleton /> : null}
      {found.isError ? <Failure error={found.error} /> : null}
      {found.data ? (
        <>
          <Facts
            facts={[
              ['Status', `${found.data.record.status} ${found.data.record.outcome.replace('_', ' ')}`],
              ['Replica', found.data.record.replica ?? '–'],
              ['Waited', formatDuration(found.data.record.queue_ms)],
              ['Gateway', `${found.data.overhead_ms.toFixed(2)} ms`],
              ['Engine, first byte', formatDuration(found.data.engine_ms)],
              ['In all', formatDuration(found.data.record.duration_ms)],
            ]}
          />
          <Message name="Question" message={found.data.request} />
          <Message name="Answer" message={found.data.response} />
        </>
      ) : null}
      <div className="flex justify-end">
        <Button onClick={onClose}>Close</Button>
      </div>
    </Dialog>
  );
}

function Message({ name, message: { headers, body, bytes } }: { name: string; message: InspectedMessage }) {
  const size = formatBytes(bytes);
  return (
    <section className="space-y-2" aria-label={name}>
      <h3 className="font-semibold">{name}</h3>
      {body === null ? (
        <p className="text-muted">{size} that are no text.</p>
      ) : (
        <Code
          title={bytes > inspectedBytes ? `Body, the first part of ${size}` : `Body, ${size}`}
          text={readable(body)}
        />
      )}
      <details>
        <summary className="cursor-pointer text-muted">Headers, without those that may hold a secret</summary>
        <div className="mt-2">
          <Code
            title="Headers"
            text={Object.entries(headers)
              .map(([header, value]) => `${header}: ${value}`)
              .join('\n')}
          />
        </div>
      </details>
    </section>
  );
}

function readable(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
