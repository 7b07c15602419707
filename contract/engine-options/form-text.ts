import type { EngineOption } from './option.ts';

/**
 * What a form's text stands for. Text that is no such value stays text, so that the schema says what is wrong with it.
 */
export function valueOfText(option: EngineOption, text: string): unknown {
  switch (option.kind) {
    case 'integer':
    case 'number':
      return numberOf(text);
    case 'integers':
    case 'numbers':
      return text
        .split(/[\s,]+/)
        .filter(Boolean)
        .map(numberOf);
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : text;
    case 'json':
      try {
        return JSON.parse(text);
      } catch {
        return text;
      }
    case 'choice':
    case 'file':
    case 'text':
      return text;
  }
}

const numberOf = (text: string): number | string => (Number.isNaN(Number(text)) ? text : Number(text));

/** Arguments and variables as they are typed: one to a line. */
export const linesOfText = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);

/** `NAME=value` to a line. */
export const variablesOfText = (text: string): Record<string, string> =>
  Object.fromEntries(
    linesOfText(text).map((line) => {
      const [name = '', value = ''] = line.split(/=(.*)/s, 2);
      return [name.trim(), value];
    }),
  );

/** A value as a form shows it: what `valueOfText` reads back. */
export function textOfValue(option: EngineOption, value: unknown): string {
  if (value === null || value === undefined) return '';
  if (option.kind === 'json') return JSON.stringify(value);
  return Array.isArray(value) ? value.join(', ') : String(value);
}

/** What `variablesOfText` reads back. */
export const textOfVariables = (variables: Readonly<Record<string, string>>): string =>
  Object.entries(variables)
    .map(([name, value]) => `${name}=${value}`)
    .join('\n');
