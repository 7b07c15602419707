import { isDeepStrictEqual } from 'node:util';
import type { ConfigurationChange } from '../../../contract/configuration.ts';
import { CortexError } from '../../../contract/errors.ts';
import { hiddenFields } from '../../../contract/hidden.ts';
import { type NewModel, newModel, type PlanIssue } from '../../../contract/models.ts';
import { type OnDemandSettings, onDemandSettings } from '../../../contract/on-demand.ts';
import { type FieldChange, recipeContent } from '../../../contract/recipes.ts';
import type { ModelRecord } from '../db/model-records.ts';
import type { RecipeRecord } from '../db/recipe-records.ts';
import { needsNewContainer } from './container-spec.ts';
import { type Configuration, differences, shownOptions } from './differences.ts';
import { modelDifferences, readModel } from './edit.ts';

type Described = Readonly<Record<string, unknown>>;

export interface Description {
  readonly models: readonly Described[];
  readonly recipes: readonly { readonly name: string; readonly content: Described }[];
  readonly prune: boolean;
}

export interface ConfigurationContext {
  readonly models: readonly ModelRecord[];
  /** Of those models that their first request loads, by id. */
  readonly onDemand: ReadonlyMap<string, OnDemandSettings>;
  /** The newest version of each recipe. */
  readonly recipes: readonly RecipeRecord[];
  /** Throws where a model can't be served as it is described. */
  readonly check: (model: NewModel) => Promise<void>;
}

const nothing: Configuration = { options: { extra_args: [], extra_env: {} } };
const modelFields = ['name', 'engine', 'task', 'folder', 'file', 'replicas'];
const recipeFields = ['engine', 'task', 'model_name', 'served_name', 'folder', 'file'];

const setOf = (after: Configuration, names: readonly string[]): FieldChange[] =>
  differences(nothing, after, names).filter(
    ({ after: value }) => typeof value !== 'object' || (value !== null && Object.keys(value).length > 0),
  );

const issueOf = (error: unknown): PlanIssue => {
  if (!(error instanceof CortexError)) throw error;
  return { param: error.param, message: error.message, hint: error.hint };
};

/** What a description would change. It changes nothing, and finds everything that stands against it. */
export async function diffConfiguration(
  { models, recipes, prune }: Description,
  context: ConfigurationContext,
): Promise<ConfigurationChange[]> {
  const changes: ConfigurationChange[] = [];
  for (const { name, content } of recipes) changes.push(diffRecipe(name, content, context));
  for (const described of models) changes.push(await diffModel(described, context));
  const named = new Set<string>();
  for (const { kind, name, issues } of changes) {
    if (named.has(`${kind} ${name}`))
      issues.push({ param: null, message: `${kind} '${name}' is described twice.`, hint: null });
    named.add(`${kind} ${name}`);
  }
  if (!prune) return changes;
  const goes = (kind: 'Model' | 'Recipe', name: string, id: string, version: number): ConfigurationChange[] =>
    named.has(`${kind} ${name}`)
      ? []
      : [{ kind, name, action: 'delete', id, version, fields: [], restarts: false, issues: [] }];
  return [
    ...changes,
    ...(models.length === 0
      ? []
      : context.models.flatMap(({ served_name, id, version }) => goes('Model', served_name, id, version))),
    ...(recipes.length === 0
      ? []
      : context.recipes.flatMap(({ name, id, version }) => goes('Recipe', name, id, version))),
  ];
}

async function diffModel({ wanted, on_demand: onDemand, ...described }: Described, context: ConfigurationContext) {
  const name = String(described.served_name ?? '');
  const before = context.models.find(({ served_name }) => served_name === name) ?? null;
  const change: ConfigurationChange = {
    ...{ kind: 'Model', name, action: before === null ? 'create' : 'unchanged' },
    ...{ id: before?.id ?? null, version: before?.version ?? null, fields: [], restarts: false, issues: [] },
  };
  const read = newModel.safeParse(described);
  for (const { path, message } of read.error?.issues ?? [])
    change.issues.push({ param: path.join('.') || null, message, hint: null });
  if (!read.success) return change;
  if (before !== null && before.engine !== read.data.engine) {
    const message = `It runs on ${before.engine}, and the engine of a model can't change.`;
    change.issues.push({ param: 'engine', message, hint: 'Delete the model first, or give this one another name.' });
    return change;
  }
  const leftOut = before === null ? hiddenFields(read.data.options) : [];
  for (const param of leftOut)
    change.issues.push({
      param,
      message: 'This secret is left out, and there is none to keep.',
      hint: 'Give it by reference: { from_env: NAME } or { from_file: PATH }.',
    });
  if (leftOut.length > 0) return change;
  try {
    const model = readModel(read.data, before);
    change.fields = before === null ? setOf(model, modelFields) : modelDifferences(before, model);
    // What stays as it is was checked when it was made; its folder may be away for now.
    if (change.fields.length > 0) await context.check(model);
    if (before !== null && before.wanted === 'running' && wanted !== 'stopped')
      change.restarts = needsNewContainer(before, { ...before, ...model } as ModelRecord);
  } catch (error) {
    change.issues.push(issueOf(error));
  }
  change.fields.push(...onDemandDifference(onDemand, context.onDemand.get(before?.id ?? '') ?? null, change.issues));
  if (wanted !== undefined && wanted !== (before?.wanted ?? 'stopped'))
    change.fields.push({ field: 'wanted', before: before?.wanted ?? null, after: wanted, secret: false });
  if (before !== null && change.fields.length > 0) change.action = 'update';
  return change;
}

const describedOnDemand = onDemandSettings.nullable().optional();

/** @param described undefined is as before */
function onDemandDifference(described: unknown, before: OnDemandSettings | null, issues: PlanIssue[]): FieldChange[] {
  const read = describedOnDemand.safeParse(described);
  for (const { path, message } of read.error?.issues ?? [])
    issues.push({ param: ['on_demand', ...path].join('.'), message, hint: null });
  if (read.data === undefined || isDeepStrictEqual(read.data, before)) return [];
  return [{ field: 'on_demand', before, after: read.data, secret: false }];
}

function diffRecipe(name: string, described: Described, context: ConfigurationContext): ConfigurationChange {
  const before = context.recipes.find((one) => one.name === name) ?? null;
  const change: ConfigurationChange = {
    ...{ kind: 'Recipe', name, action: before === null ? 'create' : 'unchanged' },
    ...{ id: before?.id ?? null, version: before?.version ?? null, fields: [], restarts: false, issues: [] },
  };
  const read = recipeContent.safeParse(described);
  for (const { path, message } of read.error?.issues ?? [])
    change.issues.push({ param: path.join('.') || null, message, hint: null });
  if (!read.success) return change;
  // A recipe keeps no secret, so none makes a difference.
  const content = { ...read.data, options: shownOptions(read.data.options) };
  change.fields = before === null ? setOf(content, recipeFields) : differences(before.content, content, recipeFields);
  if (before !== null && change.fields.length > 0) change.action = 'update';
  return change;
}
