import { CortexError } from '../../../contract/errors.ts';
import type { ServingSettings } from '../../../contract/routing.ts';
import type { RoutedModel, RoutingTable } from '../routing/table.ts';
import type { ModelWaker } from '../routing/waker.ts';

/** The model with its endpoints, once it is loaded. */
export async function awake(
  model: RoutedModel,
  serving: ServingSettings,
  gone: () => AbortSignal,
  { table, waker }: { readonly table: RoutingTable; readonly waker: ModelWaker },
): Promise<RoutedModel> {
  const rules = { queueLimit: serving.queue_limit, queueTimeoutMs: serving.queue_timeout_seconds * 1000 };
  await waker.wake(model.servedName, rules, gone());
  const loaded = table.model(model.servedName);
  if (loaded !== undefined && loaded.endpoints.length > 0) return loaded;
  const state = loaded?.state ?? 'gone';
  throw new CortexError('model_not_ready', { model: model.servedName, state }, { retryAfterSeconds: 5 });
}
