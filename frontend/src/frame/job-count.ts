import { useQuery } from '@tanstack/react-query';
import type { Model, ModelState } from '../../../contract/models.ts';
import { queries } from '../api/queries.ts';

const underWay: readonly ModelState[] = ['pulling', 'starting', 'loading', 'stopping'];
export const isUnderWay = ({ state }: Model): boolean => underWay.includes(state);

/** How many models are on their way, images are pulled and models are downloaded just now. */
export function useJobCount(): number {
  const { data: me } = useQuery(queries.me);
  const mayRead = me?.rights.includes('models:read') ?? false;
  const mayWrite = me?.rights.includes('models:write') ?? false;
  const models = useQuery({ ...queries.models, enabled: mayRead });
  const pulls = useQuery({ ...queries.imagePulls, enabled: mayRead });
  const downloads = useQuery({ ...queries.downloads, enabled: mayWrite });
  return (
    (models.data?.filter(isUnderWay).length ?? 0) +
    (pulls.data?.length ?? 0) +
    (downloads.data?.downloads.filter(({ state }) => state === 'downloading').length ?? 0)
  );
}
