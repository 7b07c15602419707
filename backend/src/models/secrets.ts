import { CortexError } from '../../../contract/errors.ts';
import { type Extras, hidden, hiddenFields, isSecretFlag, isSecretVariable } from '../../../contract/hidden.ts';

/** A shorter text would be found everywhere. */
const shortestSecret = 4;

/** Variables as they may be shown: those whose name tells of a secret keep only the name. */
export const shownVariables = (variables: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, isSecretVariable(name) ? hidden : value]));

/** The values that `shownVariables` and `shownArguments` hide. */
export function secretValues({ extra_args, extra_env }: Extras): string[] {
  const inArguments = extra_args.map((_, index) => secretAt(extra_args, index)?.value ?? '');
  const inVariables = Object.entries(extra_env).map(([name, value]) => (isSecretVariable(name) ? value : ''));
  return [...inArguments, ...inVariables].filter((value) => value.length >= shortestSecret);
}

/** Arguments as they may be shown. */
export const shownArguments = (args: readonly string[]): string[] =>
  args.map((argument, index) => {
    const secret = secretAt(args, index);
    return secret === null ? argument : `${secret.prefix}${hidden}`;
  });

/** The secret that stands at a place, with its flag and with what stands before it in the same word. */
function secretAt(args: readonly string[], index: number): { flag: string; prefix: string; value: string } | null {
  const argument = args[index] ?? '';
  const [flag = '', value] = argument.split(/=(.*)/s, 2);
  if (value !== undefined && isSecretFlag(flag)) return { flag, prefix: `${flag}=`, value };
  const before = args[index - 1] ?? '';
  const isValue = before.startsWith('--') && isSecretFlag(before) && !argument.startsWith('--');
  return isValue ? { flag: before, prefix: '', value: argument } : null;
}

/**
 * Variables as somebody sent them who has seen only `shownVariables`: what is still hidden keeps its value.
 * @throws CortexError invalid_request where nothing is behind a hidden value
 */
export function revealedVariables(
  sent: Readonly<Record<string, string>>,
  kept: Readonly<Record<string, string>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(sent).map(([name, value]) => [
      name,
      value === hidden ? (kept[name] ?? nothingBehind(name, `options.extra_env.${name}`)) : value,
    ]),
  );
}

/**
 * The same for arguments: the first hidden value of a flag is the first that the flag had.
 * @throws CortexError invalid_request where nothing is behind a hidden value
 */
export function revealedArguments(sent: readonly string[], kept: readonly string[]): string[] {
  const values = new Map<string, string[]>();
  for (const index of kept.keys()) {
    const secret = secretAt(kept, index);
    if (secret !== null) values.set(secret.flag, [...(values.get(secret.flag) ?? []), secret.value]);
  }
  const met = new Map<string, number>();
  return sent.map((argument, index) => {
    const secret = secretAt(sent, index);
    if (secret === null) return argument;
    const nth = met.get(secret.flag) ?? 0;
    met.set(secret.flag, nth + 1);
    if (secret.value !== hidden) return argument;
    const value = values.get(secret.flag)?.[nth] ?? nothingBehind(secret.flag, `options.extra_args.${index}`);
    return `${secret.prefix}${value}`;
  });
}

/** Options with the secrets that are given, by their fields, where hidden ones stand. */
export function withSecrets<O extends Extras>(options: O, secrets: Readonly<Record<string, string>>): O {
  const { extra_args: args, extra_env: variables } = options;
  const given = new Map(hiddenFields(options).flatMap((field) => (secrets[field] ? [[field, secrets[field]]] : [])));
  return {
    ...options,
    extra_args: args.map((argument, index) => {
      const value = given.get(`options.extra_args.${index}`);
      return value === undefined ? argument : `${secretAt(args, index)?.prefix ?? ''}${value}`;
    }),
    extra_env: Object.fromEntries(
      Object.entries(variables).map(([name, value]) => [name, given.get(`options.extra_env.${name}`) ?? value]),
    ),
  };
}

function nothingBehind(name: string, param: string): never {
  const detail = `${name} was sent as ${hidden}, and there is no value of it to keep. Send the value itself.`;
  throw new CortexError('invalid_request', { detail }, { param });
}
