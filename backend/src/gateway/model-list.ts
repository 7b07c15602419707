import { CortexError } from '../../../contract/errors.ts';
import type { RoutedModel, RoutingTable } from '../routing/table.ts';
import { mayUse } from './admission.ts';
import type { Caller } from './credentials.ts';

const listPath = '/v1/models';

export const isModelPath = (path: string): boolean => path === listPath || path.startsWith(`${listPath}/`);

/** What GET says under /v1/models: the ready models that the caller may use, or the one that the path names. */
export function describeModels(path: string, caller: Caller, table: RoutingTable): object {
  if (path !== listPath) return oneModel(decodeName(path.slice(listPath.length + 1)), caller, table);
  const usable = [...table.models()].filter((model) => model.state === 'ready' && mayUse(caller, model.servedName));
  return { object: 'list', data: usable.map(toObject) };
}

function oneModel(name: string, caller: Caller, table: RoutingTable) {
  const model = table.model(name);
  if (model === undefined || !mayUse(caller, name))
    throw new CortexError('model_not_found', { model: name }, { param: 'model' });
  return toObject(model);
}

const toObject = (model: RoutedModel) => ({
  id: model.servedName,
  object: 'model',
  created: Math.floor(model.createdAtMs / 1000),
  owned_by: 'cortex',
});

function decodeName(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
