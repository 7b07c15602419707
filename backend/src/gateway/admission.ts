import { CortexError } from '../../../contract/errors.ts';
import type { Scope } from '../../../contract/keys.ts';
import type { Task } from '../../../contract/models.ts';
import type { RoutedModel, RoutingTable } from '../routing/table.ts';
import type { Caller } from './credentials.ts';

/** A path of /v1 that an engine answers. */
export interface EnginePath {
  readonly scope: Scope;
  readonly task: Task;
  readonly canStream: boolean;
}

const enginePaths: Readonly<Record<string, EnginePath>> = {
  '/v1/chat/completions': { scope: 'chat', task: 'generate', canStream: true },
  '/v1/completions': { scope: 'completions', task: 'generate', canStream: true },
  '/v1/embeddings': { scope: 'embeddings', task: 'embed', canStream: false },
};

export const enginePathOf = (path: string): EnginePath | undefined =>
  Object.hasOwn(enginePaths, path) ? enginePaths[path] : undefined;

/** @throws CortexError insufficient_scope */
export function demandScope(caller: Caller, scope: Scope): void {
  if (!caller.scopes.includes(scope)) throw new CortexError('insufficient_scope', { scope });
}

export const mayUse = (caller: Caller, servedName: string): boolean =>
  caller.models === null || caller.models.includes(servedName);

/** The model that answers. @throws CortexError model_not_found, model_not_allowed, wrong_task, model_not_ready */
export function admit(
  caller: Caller,
  name: string,
  path: string,
  { task }: EnginePath,
  table: RoutingTable,
): RoutedModel {
  const param = { param: 'model' };
  const model = table.model(name);
  if (model === undefined) throw new CortexError('model_not_found', { model: name }, param);
  if (!mayUse(caller, name)) throw new CortexError('model_not_allowed', { model: name }, param);
  if (model.task !== task) throw new CortexError('wrong_task', { model: name, task: model.task, path }, param);
  if (model.state !== 'ready') throw new CortexError('model_not_ready', { model: name, state: model.state }, param);
  return model;
}
