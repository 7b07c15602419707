import { useEffect, useState } from 'react';
import type { Model, ModelEvent } from '../../../contract/models.ts';
import { type RouteResponse, type Routes, routes } from '../../../contract/routes.ts';
import { queries, queryClient } from './queries.ts';

const kept = 200;
type Listener = (change: RouteResponse<Routes['modelEvents']>) => void;

/** One stream for all who listen: over plain HTTP a browser opens only six connections to a server, of all its tabs. */
const listeners = new Set<Listener>();
let source: EventSource | null = null;

function listen(listener: Listener): () => void {
  listeners.add(listener);
  source ??= openSource();
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    source?.close();
    source = null;
  };
}

function openSource(): EventSource {
  const opened = new EventSource(routes.modelEvents.path);
  opened.onmessage = (message: MessageEvent<string>) => {
    const change = routes.modelEvents.response.parse(JSON.parse(message.data));
    for (const listener of listeners) listener(change);
  };
  return opened;
}

/** Follows the models' live events into the list of models. */
export function useLiveModels(isAllowed: boolean): void {
  useEffect(() => {
    if (!isAllowed) return;
    return listen((change) => {
      if ('model' in change) {
        queryClient.setQueryData(queries.models.queryKey, (models) => replaced(models, change.model));
        if (change.model.state === 'pulling')
          void queryClient.invalidateQueries({ queryKey: queries.imagePulls.queryKey });
      } else if ('deleted' in change)
        queryClient.setQueryData(queries.models.queryKey, (models) =>
          models?.filter(({ id }) => id !== change.deleted),
        );
    });
  }, [isAllowed]);
}

/** The steps of one model since the page was opened. */
export function useModelEvents(modelId: string): readonly ModelEvent[] {
  const [steps, setSteps] = useState<readonly ModelEvent[]>([]);
  useEffect(
    () =>
      listen((change) => {
        if ('event' in change && change.event.model_id === modelId)
          setSteps((before) => [...before, change.event].slice(-kept));
      }),
    [modelId],
  );
  return steps;
}

function replaced(models: readonly Model[] | undefined, model: Model): Model[] | undefined {
  if (models === undefined) return undefined;
  return models.some(({ id }) => id === model.id)
    ? models.map((one) => (one.id === model.id ? model : one))
    : [...models, model];
}
