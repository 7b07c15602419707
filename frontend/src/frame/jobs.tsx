import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { queries } from '../api/queries.ts';
import { Dialog } from '../components/dialog.tsx';
import { HubDownloads } from '../components/hub-downloads.tsx';
import { ImagePulls } from '../components/image-pulls.tsx';
import { ModelStatus } from '../components/status.tsx';
import { isUnderWay, useJobCount } from './job-count.ts';

/** What is under way, wherever it was begun; it goes on when this is closed. */
export function Jobs({ onClose }: { onClose: () => void }) {
  const { data: models } = useQuery(queries.models);
  const count = useJobCount();
  const moving = models?.filter(isUnderWay) ?? [];
  return (
    <Dialog
      title="Under way"
      description={count === 0 ? 'Nothing any more.' : 'It goes on when this or the whole page is closed.'}
      size="wide"
      open
      onClose={onClose}
    >
      {moving.length > 0 ? (
        <ul className="divide-y divide-line rounded-lg border border-line">
          {moving.map((model) => (
            <li key={model.id} className="flex flex-wrap items-baseline gap-x-4 gap-y-1 px-4 py-2.5">
              <Link
                to="/models/$id"
                params={{ id: model.id }}
                onClick={onClose}
                className="font-medium text-accent hover:underline"
              >
                {model.name}
              </Link>
              <ModelStatus state={model.state} reason={model.reason} />
            </li>
          ))}
        </ul>
      ) : null}
      <ImagePulls />
      <HubDownloads only="downloading" />
    </Dialog>
  );
}
