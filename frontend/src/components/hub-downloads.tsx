import { useMutation, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { Download } from '../../../contract/downloads.ts';
import { call } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { formatAgo, formatBytes, formatDuration } from '../format.ts';
import { Button, buttonClass } from './button.tsx';
import { Card, Failure } from './page.tsx';
import { Status } from './status.tsx';

const states = {
  downloading: { mark: '◔', tone: 'accent' },
  done: { mark: '●', tone: 'ok' },
  cancelled: { mark: '○', tone: 'muted' },
  failed: { mark: '▲', tone: 'bad' },
} as const;

/** The downloads from the hub, live, newest first; nothing where there is none. @param only those in this state */
export function HubDownloads({ only }: { only?: Download['state'] }) {
  const { data } = useQuery(queries.downloads);
  const shown = (data?.downloads ?? []).filter(({ state }) => only === undefined || state === only);
  return shown.map((one) => <OneDownload key={one.id} download={one} isOffline={data?.offline ?? false} />);
}

type Action = 'cancelDownload' | 'resumeDownload' | 'deleteDownload';

function OneDownload({ download, isOffline }: { download: Download; isOffline: boolean }) {
  const { id, repository, commit, folder, state, error, done_bytes, total_bytes } = download;
  const act = useMutation<unknown, Error, Action>({
    mutationFn: (action) => call(action, { params: { id } }),
    onSettled: () => queryClient.invalidateQueries({ queryKey: queries.downloads.queryKey }),
  });
  const button = (action: Action, word: string) => (
    <Button
      disabled={act.isPending || (action === 'resumeDownload' && isOffline)}
      onClick={() => act.mutate(action)}
      aria-label={`${word} ${repository} in ${folder}`}
    >
      {word}
    </Button>
  );
  return (
    <Card>
      <div className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2">
        <p className="min-w-0">
          <span className="font-mono break-all">{repository}</span>{' '}
          <span className="font-mono text-xs text-muted" title={commit}>
            {commit.slice(0, 8)}
          </span>
          <span className="block text-muted">
            into <span className="font-mono break-all">{folder}</span> · {formatAgo(download.started_at)} by{' '}
            {download.username}
          </span>
        </p>
        <div className="flex gap-2">
          {state === 'downloading' ? button('cancelDownload', 'Cancel') : null}
          {state === 'cancelled' || state === 'failed' ? button('resumeDownload', 'Go on') : null}
          {state === 'done' ? (
            <Link to="/models/add" search={{ step: 'file', folder }} className={buttonClass('primary')}>
              Add this model
            </Link>
          ) : null}
          {state === 'downloading' ? null : button('deleteDownload', 'Remove')}
        </div>
      </div>
      {state === 'done' ? null : <Bar label={`Download of ${repository}`} value={done_bytes} max={total_bytes} />}
      <p className="mt-2 text-muted tabular-nums" aria-live="polite">
        <Status {...states[state]} word={state} /> · {wordsOf(download)}
      </p>
      {error === null ? null : (
        <p className="mt-2 text-bad">
          {error.message} <span className="text-muted">{error.hint}</span>
        </p>
      )}
      {act.isError ? <Failure error={act.error} /> : null}
      <details className="mt-2">
        <summary className="cursor-pointer text-muted">Files</summary>
        <ul className="mt-1 space-y-1">
          {download.files.map((file) => (
            <li key={file.path} className="flex flex-wrap justify-between gap-x-4">
              <span className="min-w-0 font-mono text-xs break-all">{file.path}</span>
              <span className="text-muted tabular-nums">
                {formatBytes(file.done_bytes)} of {formatBytes(file.size_bytes)}
              </span>
            </li>
          ))}
        </ul>
      </details>
    </Card>
  );
}

function wordsOf({ state, done_bytes, total_bytes, bytes_per_second, seconds_left }: Download): string {
  if (state === 'done') return formatBytes(total_bytes);
  return [
    `${formatBytes(done_bytes)} of ${formatBytes(total_bytes)}`,
    bytes_per_second === null ? null : `${formatBytes(bytes_per_second)}/s`,
    seconds_left === null ? null : `${formatDuration(seconds_left * 1000)} left`,
  ]
    .filter((part) => part !== null)
    .join(' · ');
}

function Bar({ label, value, max }: { label: string; value: number; max: number }) {
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={max}
      aria-valuenow={value}
      className="mt-3 h-1.5 overflow-hidden rounded-full bg-raised"
    >
      <div className="h-full bg-accent" style={{ width: max > 0 ? `${(100 * value) / max}%` : '0%' }} />
    </div>
  );
}
