import { isDeepStrictEqual } from 'node:util';
import type { FieldChange } from '../../../contract/recipes.ts';
import { shownArguments, shownVariables } from './secrets.ts';

interface Options extends Readonly<Record<string, unknown>> {
  readonly extra_args: readonly string[];
  readonly extra_env: Readonly<Record<string, string>>;
}
/** What can be compared: a model, or the content of a recipe. */
export interface Configuration extends Readonly<Record<string, unknown>> {
  readonly options: Options;
}

/** Options with the secrets in them hidden. */
export const shownOptions = <O extends Options>(options: O): O => ({
  ...options,
  extra_args: shownArguments(options.extra_args),
  extra_env: shownVariables(options.extra_env),
});

/** Each field by its name: `name`, `options.context_size`, `options.extra_env.COLOUR`. */
function fieldsOf(configuration: Configuration, names: readonly string[]): Map<string, unknown> {
  const { extra_env: variables, ...options } = configuration.options;
  return new Map([
    ...names.map((name) => [name, configuration[name]] as const),
    ...Object.entries(options).map(([name, value]) => [`options.${name}`, value] as const),
    ...Object.entries(variables).map(([name, value]) => [`options.extra_env.${name}`, value] as const),
  ]);
}

/** The fields that differ, with both values; a secret is shown hidden on both sides. */
export function differences(before: Configuration, after: Configuration, names: readonly string[]): FieldChange[] {
  const [old, now] = [fieldsOf(before, names), fieldsOf(after, names)];
  const hide = (one: Configuration) => fieldsOf({ ...one, options: shownOptions(one.options) }, names);
  const [shownOld, shownNow] = [hide(before), hide(after)];
  const differing = [...new Set([...old.keys(), ...now.keys()])].filter(
    (field) => !isDeepStrictEqual(old.get(field) ?? null, now.get(field) ?? null),
  );
  return differing.map((field) => ({
    field,
    before: shownOld.get(field) ?? null,
    after: shownNow.get(field) ?? null,
    secret:
      !isDeepStrictEqual(shownOld.get(field), old.get(field)) ||
      !isDeepStrictEqual(shownNow.get(field), now.get(field)),
  }));
}
