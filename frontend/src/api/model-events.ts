import { useEffect, useState } from 'react';
import type { Model, ModelEvent } from '../../../contract/models.ts';
import { routes } from '../../../contract/routes.ts';
import { queries, queryClient } from './queries.ts';

const kept = 200;

/** Follows the models' live events into the list of models, and gives the steps of one model since the page was opened. */
export function useModelEvents(modelId?: string): readonly ModelEvent[] {
  const [steps, setSteps] = useState<readonly ModelEvent[]>([]);
  useEffect(() => {
    const source = new EventSource(routes.modelEvents.path);
    source.onmessage = (message: MessageEvent<string>) => {
      const change = routes.modelEvents.response.parse(JSON.parse(message.data));
      if ('model' in change)
        queryClient.setQueryData(queries.models.queryKey, (models) => replaced(models, change.model));
      else if ('deleted' in change)
        queryClient.setQueryData(queries.models.queryKey, (models) =>
          models?.filter(({ id }) => id !== change.deleted),
        );
      else if (change.event.model_id === modelId) setSteps((before) => [...before, change.event].slice(-kept));
    };
    return () => source.close();
  }, [modelId]);
  return steps;
}

function replaced(models: readonly Model[] | undefined, model: Model): Model[] | undefined {
  if (models === undefined) return undefined;
  return models.some(({ id }) => id === model.id)
    ? models.map((one) => (one.id === model.id ? model : one))
    : [...models, model];
}
