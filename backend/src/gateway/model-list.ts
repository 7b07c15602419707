import { CortexError } from '../../../contract/errors.ts';
import type { RoutedModel, RoutingTable } from '../routing/table.ts';
import { mayUse } from './access.ts';
import type { Caller } from './credentials.ts';

const listPath = '/v1/models';

export const isModelPath = (path: string): boolean => path === listPath || path.startsWith(`${listPath}/`);

/** What GET says under /v1/models: the models that are ready or loaded by a request, and aliases that the caller may use, or the one that the path names. */
export function describeModels(path: string, caller: Caller, table: RoutingTable): object {
  if (path !== listPath) return oneModel(decodeName(path.slice(listPath.length + 1)), caller, table);
  const ready = [...table.models()].filter((model) => answers(model, table)).map(({ servedName }) => servedName);
  const isThere = (name: string) => ready.includes(name);
  const aliases = [...table.aliases()]
    .filter(({ targets }) => targets.some(({ served_name: name }) => isThere(name)))
    .map(({ name }) => name);
  const names = new Set([...ready, ...aliases].filter((name) => mayUse(caller, name)));
  return { object: 'list', data: [...names].map((name) => toObject(name, table)) };
}

const answers = (model: RoutedModel, table: RoutingTable) => model.state === 'ready' || table.canWake(model);

function oneModel(name: string, caller: Caller, table: RoutingTable) {
  if ((table.model(name) === undefined && table.alias(name) === undefined) || !mayUse(caller, name))
    throw new CortexError('model_not_found', { model: name }, { param: 'model' });
  return toObject(name, table);
}

function toObject(name: string, table: RoutingTable) {
  const model = table.model(name) ?? table.model(table.alias(name)?.targets[0]?.served_name ?? '');
  return { id: name, object: 'model', created: Math.floor((model?.createdAtMs ?? 0) / 1000), owned_by: 'cortex' };
}

function decodeName(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
