import { CortexError } from '../../../contract/errors.ts';
import type { ParameterRule } from '../../../contract/routing.ts';

/** Names of one thing, how long the answer may become: OpenAI's over the years, and llama.cpp's. Engines read several. */
export const lengthNames = ['max_tokens', 'max_completion_tokens', 'max_output_tokens', 'n_predict'] as const;
export type LengthName = (typeof lengthNames)[number];
const isLength = (name: string): boolean => lengthNames.some((known) => known === name);

/**
 * The parameters that an administrator's rules for the model change, with the values that they get.
 * @param sent the client's parameters
 * @param lengths how the path's API calls the length of an answer
 * @throws CortexError parameter_forbidden
 */
export function changedByRules(
  sent: ReadonlyMap<string, unknown>,
  rules: Readonly<Record<string, ParameterRule>>,
  model: string,
  lengths: readonly LengthName[],
): ReadonlyMap<string, unknown> {
  const changed = new Map<string, unknown>();
  for (const [name, rule] of Object.entries(rules)) {
    const value = sent.get(name) ?? null;
    if (rule.forbid && value !== null)
      throw new CortexError('parameter_forbidden', { model, parameter: name }, { param: name });
    if (Object.keys(rule).every((part) => part === 'forbid')) continue;
    const given = isLength(name) ? lengthNames.filter((other) => (sent.get(other) ?? null) !== null) : [];
    for (const meant of isLength(name) ? lengthsFor(name, given, lengths) : [name]) {
      const before = changed.has(meant) ? changed.get(meant) : sent.get(meant);
      const wanted = wantedValue(meant, rule, before ?? given.map((other) => sent.get(other))[0]);
      if (wanted !== undefined && wanted !== before) changed.set(meant, wanted);
    }
  }
  return changed;
}

/**
 * A rule for the length holds under whichever names the client gives it, and under one that the API reads: a name that
 * nobody hears is no way around it.
 */
function lengthsFor(name: string, given: readonly LengthName[], lengths: readonly LengthName[]): readonly LengthName[] {
  if (given.some((other) => lengths.includes(other))) return given;
  const own = lengths.filter((other) => other === name);
  return [...given, ...(own.length > 0 ? own : lengths.slice(0, 1))];
}

function wantedValue(name: string, { force, default: preset, max }: ParameterRule, value: unknown): unknown {
  const chosen = force === undefined ? (value ?? preset) : force;
  if (max === undefined) return chosen;
  // Engines read "7" as 7 and "1_000" as 1000 (vLLM's pydantic does), so a text is no way around the maximum.
  const size = typeof chosen === 'string' ? Number(chosen.replaceAll('_', '')) : chosen;
  if (typeof size !== 'number') return chosen;
  // A length below zero is none at all to llama.cpp.
  return size > max || (size < 0 && isLength(name)) ? max : chosen;
}
