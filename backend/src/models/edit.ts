import { CortexError } from '../../../contract/errors.ts';
import type { ModelEdit } from '../../../contract/model-edit.ts';
import { type NewModel, newModel } from '../../../contract/models.ts';
import type { FieldChange } from '../../../contract/recipes.ts';
import { differences } from './differences.ts';
import { revealedArguments, revealedVariables } from './secrets.ts';

/**
 * A model after an edit, checked as a whole.
 * @throws CortexError invalid_request where the whole is no model, or a hidden value has nothing behind it
 */
export function editedModel(before: NewModel, { version: _, options, ...fields }: ModelEdit): NewModel {
  const merged: Record<string, unknown> = { ...before.options, ...options };
  // Left out, the schema puts its own default there: what a new model would have.
  for (const [name, value] of Object.entries(merged)) if (value === null) delete merged[name];
  return readModel({ ...before, ...fields, options: merged }, before);
}

/**
 * A model from what a client sent, with the secrets that it sent back hidden.
 * @throws CortexError invalid_request
 */
export function readModel(input: unknown, before: NewModel | null): NewModel {
  const read = newModel.safeParse(input);
  if (!read.success) {
    const [issue] = read.error.issues;
    const param = issue?.path.join('.') ?? '';
    const detail = `${param || 'body'}: ${issue?.message ?? 'not valid'}`;
    throw new CortexError('invalid_request', { detail }, { cause: read.error, ...(param ? { param } : {}) });
  }
  const { options } = read.data;
  const known = before?.options ?? { extra_args: [], extra_env: {} };
  const extra_args = revealedArguments(options.extra_args, known.extra_args);
  const extra_env = revealedVariables(options.extra_env, known.extra_env);
  return newModel.parse({ ...read.data, options: { ...options, extra_args, extra_env } });
}

/** The fields of a model that differ, with both values; a secret is shown hidden on both sides. */
export const modelDifferences = (before: NewModel, after: NewModel): FieldChange[] =>
  differences(before, after, ['name', 'served_name', 'task', 'folder', 'file', 'replicas']);
