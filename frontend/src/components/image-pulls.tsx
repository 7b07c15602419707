import { useMutation, useQuery } from '@tanstack/react-query';
import type { ImagePull } from '../../../contract/image-pulls.ts';
import { call } from '../api/client.ts';
import { queries, queryClient } from '../api/queries.ts';
import { formatBytes, formatDuration } from '../format.ts';
import { Button } from './button.tsx';
import { Card, Failure } from './page.tsx';

/** The images that are being pulled, with a way to end each; nothing where none is. @param image only the pull of this one */
export function ImagePulls({ image }: { image?: string }) {
  const pulls = useQuery(queries.imagePulls);
  const { data: me } = useQuery(queries.me);
  const shown = (pulls.data ?? []).filter((pull) => image === undefined || pull.image === image);
  return shown.map((pull) => (
    <Pull key={pull.image} pull={pull} mayCancel={me?.rights.includes('models:write') ?? false} />
  ));
}

const phases: Record<ImagePull['phase'], string> = {
  asking: 'asking the registry',
  downloading: 'downloading',
  unpacking: 'unpacking',
};

/** `0.9 of 4.1 GB · 110 MB/s · 29 s left`, as far as Docker has told it. */
function wordsOf({ phase, layers, layers_done, done_bytes, total_bytes, bytes_per_second, seconds_left }: ImagePull) {
  if (phase === 'asking') return '';
  if (phase === 'unpacking') return `${layers_done} of ${layers} layers`;
  return [
    total_bytes === null ? formatBytes(done_bytes) : `${formatBytes(done_bytes)} of ${formatBytes(total_bytes)}`,
    bytes_per_second === null ? null : `${formatBytes(bytes_per_second)}/s`,
    seconds_left === null ? null : `${formatDuration(seconds_left * 1000)} left`,
  ]
    .filter((part) => part !== null)
    .join(' · ');
}

function Pull({ pull, mayCancel }: { pull: ImagePull; mayCancel: boolean }) {
  const cancel = useMutation({
    mutationFn: () => call('cancelImagePull', { body: { image: pull.image } }),
    onSettled: () => queryClient.invalidateQueries({ queryKey: queries.imagePulls.queryKey }),
  });
  const [value, max] =
    pull.phase === 'unpacking' ? [pull.layers_done, pull.layers] : [pull.done_bytes, pull.total_bytes ?? 0];
  return (
    <Card>
      <div className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2">
        <p className="min-w-0">
          <span className="font-medium">Pulling </span>
          <span className="font-mono text-xs break-all">{pull.image}</span>
        </p>
        {mayCancel ? (
          <Button
            disabled={cancel.isPending}
            onClick={() => cancel.mutate()}
            aria-label={`Cancel the pull of ${pull.image}`}
          >
            Cancel
          </Button>
        ) : null}
      </div>
      <div
        role="progressbar"
        aria-label={`Pull of ${pull.image}`}
        aria-valuemin={0}
        {...(max > 0 ? { 'aria-valuemax': max, 'aria-valuenow': value } : {})}
        className="mt-3 h-1.5 overflow-hidden rounded-full bg-raised"
      >
        <div className="h-full bg-accent" style={{ width: max > 0 ? `${(100 * value) / max}%` : '0%' }} />
      </div>
      <p className="mt-2 text-muted tabular-nums">
        {[phases[pull.phase], wordsOf(pull)].filter((part) => part !== '').join(' · ')}
      </p>
      {cancel.isError ? <Failure error={cancel.error} /> : null}
    </Card>
  );
}
