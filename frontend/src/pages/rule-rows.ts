import type { ParameterRule, ServingSettings } from '../../../contract/routing.ts';

export const ruleKinds = ['default', 'force', 'max', 'forbid'] as const satisfies readonly (keyof ParameterRule)[];
export type RuleKind = (typeof ruleKinds)[number];

/** One rule as it is edited. A parameter may have several: a default and a cap. */
export interface RuleRow {
  readonly id: number;
  readonly parameter: string;
  readonly kind: RuleKind;
  /** JSON, or a bare word for a text. */
  readonly value: string;
}

let lastId = 0;
export const newRow = (parameter = '', kind: RuleKind = 'default', value = ''): RuleRow => {
  lastId += 1;
  return { id: lastId, parameter, kind, value };
};

export const rowsOf = (parameters: ServingSettings['parameters']): RuleRow[] =>
  Object.entries(parameters).flatMap(([parameter, rule]) =>
    ruleKinds
      .filter((kind) => rule[kind] !== undefined)
      .map((kind) => newRow(parameter, kind, kind === 'forbid' ? '' : shown(rule[kind]))),
  );

/** Of two rules of one kind for one parameter the last holds. */
export function rulesOf(rows: readonly RuleRow[]): ServingSettings['parameters'] {
  const parameters: Record<string, ParameterRule> = {};
  for (const { parameter, kind, value } of rows) {
    const name = parameter.trim();
    parameters[name] = { ...parameters[name], [kind]: kind === 'forbid' ? true : readValue(value) };
  }
  return parameters;
}

/** A text that could be read as something else is shown in quotes. */
function shown(value: ParameterRule['default']): string {
  return typeof value === 'string' && readValue(value) === value ? value : JSON.stringify(value);
}

function readValue(text: string): ParameterRule['default'] {
  try {
    return JSON.parse(text);
  } catch {
    return text.trim();
  }
}
