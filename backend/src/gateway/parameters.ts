import { CortexError } from '../../../contract/errors.ts';
import type { ParameterRule } from '../../../contract/routing.ts';
import { setMember } from './json-edit.ts';

/**
 * The body with an administrator's rules for the model applied; the client's other bytes stay as they are.
 * @param sent the body, parsed
 * @throws CortexError parameter_forbidden
 */
export function applyParameterRules(
  bytes: Buffer,
  sent: Readonly<Record<string, unknown>>,
  rules: Readonly<Record<string, ParameterRule>>,
  model: string,
): Buffer {
  let body = bytes;
  for (const [name, rule] of Object.entries(rules)) {
    const has = Object.hasOwn(sent, name);
    const value = has ? sent[name] : undefined;
    if (rule.forbid && has && value !== null)
      throw new CortexError('parameter_forbidden', { model, parameter: name }, { param: name });
    const wanted = wantedValue(rule, value ?? undefined);
    if (wanted !== undefined && wanted !== value) body = setMember(body, name, wanted, has);
  }
  return body;
}

function wantedValue({ force, default: preset, max }: ParameterRule, value: unknown): unknown {
  const chosen = force ?? value ?? preset;
  // Engines read "7" as 7 (vLLM's pydantic does), so a text is no way around the maximum.
  const size = typeof chosen === 'string' ? Number(chosen) : chosen;
  return typeof size === 'number' && max !== undefined && size > max ? max : chosen;
}
