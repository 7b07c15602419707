import { CortexError } from '../../../contract/errors.ts';
import type { Scope } from '../../../contract/keys.ts';
import type { Task } from '../../../contract/models.ts';
import type { RoutedModel, RoutingTable } from '../routing/table.ts';
import type { Caller } from './credentials.ts';
import type { EnginePath } from './surface.ts';

/** @throws CortexError insufficient_scope */
export function demandScope(caller: Caller, scope: Scope): void {
  if (!caller.scopes.includes(scope)) throw new CortexError('insufficient_scope', { scope });
}

export const mayUse = (caller: Caller, name: string): boolean => caller.models === null || caller.models.includes(name);

const retryAfterSeconds = 5;

/**
 * The models that may answer, the one to ask first first: the model, or an alias's choice, then its fallbacks. Where none
 * is ready, the first that its request loads.
 * @throws CortexError model_not_found, model_not_allowed, wrong_task, model_not_ready where none of them can
 */
export function modelsFor(
  caller: Caller,
  name: string,
  path: string,
  { task }: EnginePath,
  table: RoutingTable,
): [RoutedModel, ...RoutedModel[]] {
  const plain = table.alias(name) === undefined ? table.model(name) : undefined;
  if (plain !== undefined && isPlain(plain, task, table) && mayUse(caller, name)) return [plain];
  const param = { param: 'model' };
  const alias = table.alias(name);
  const wanted = alias === undefined ? [name] : byWeight(alias.targets);
  const targets = wanted.flatMap((target) => table.model(target) ?? []);
  const known = targets.find((target) => task === null || target.task === task) ?? targets[0];
  if (known === undefined) throw new CortexError('model_not_found', { model: name }, param);
  if (!mayUse(caller, name)) throw new CortexError('model_not_allowed', { model: name }, param);
  if (task !== null && known.task !== task)
    throw new CortexError('wrong_task', { model: name, task: known.task, path }, param);
  const canAnswer = (model: RoutedModel) =>
    model.state === 'ready' && model.endpoints.length > 0 && (task === null || model.task === task);
  const named = candidates(wanted, known, table);
  const [first, ...others] = named.filter(canAnswer);
  if (first !== undefined) return [first, ...others];
  const asleep = named.find((model) => table.canWake(model) && (task === null || model.task === task));
  if (asleep !== undefined) return [asleep];
  const state = known.state === 'ready' ? 'without an engine' : known.state;
  throw new CortexError('model_not_ready', { model: name, state }, { ...param, retryAfterSeconds });
}

/** What most requests ask for: a model that can answer, and nobody to ask in its place. */
const isPlain = ({ servedName, state, endpoints, task: own }: RoutedModel, task: Task | null, table: RoutingTable) =>
  state === 'ready' &&
  endpoints.length > 0 &&
  (task === null || own === task) &&
  !table.serving(servedName)?.fallbacks.length;

function candidates(wanted: readonly string[], known: RoutedModel, table: RoutingTable): RoutedModel[] {
  const [only] = wanted;
  if (wanted.length === 1 && only !== undefined && !table.serving(only)?.fallbacks.length) return [known];
  // Who may use a name may use what an administrator has put behind it.
  const names = new Set([...wanted, ...wanted.flatMap((target) => table.serving(target)?.fallbacks ?? [])]);
  return [...names].flatMap((target) => table.model(target) ?? []);
}

/** The targets in the order of a draw by their weights; those of weight 0 only when no other is left. */
function byWeight(targets: readonly { served_name: string; weight: number }[]): string[] {
  return targets
    .map(({ served_name: name, weight }) => ({ name, draw: weight === 0 ? -1 : Math.random() ** (1 / weight) }))
    .sort((a, b) => b.draw - a.draw)
    .map(({ name }) => name);
}
