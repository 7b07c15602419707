import {
  linesOfText,
  textOfValue,
  textOfVariables,
  valueOfText,
  variablesOfText,
} from '../../../contract/engine-options/form-text.ts';
import { type EngineName, optionTables } from '../../../contract/engine-options/tables.ts';

/** The options that a form's texts stand for. An empty text is null: the engine's own default. */
export function optionsOfTexts(engine: EngineName, texts: Readonly<Record<string, string>>): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(optionTables[engine])) {
    const text = texts[name]?.trim() ?? '';
    options[name] = text === '' ? null : valueOfText(option, text);
  }
  options.extra_args = linesOfText(texts.extra_args ?? '');
  options.extra_env = variablesOfText(texts.extra_env ?? '');
  return options;
}

interface Options extends Readonly<Record<string, unknown>> {
  readonly extra_args: readonly string[];
  readonly extra_env: Readonly<Record<string, string>>;
}

/** The texts of a form that shows these options. */
export function textsOfOptions(engine: EngineName, options: Options): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const [name, option] of Object.entries(optionTables[engine])) texts[name] = textOfValue(option, options[name]);
  texts.extra_args = options.extra_args.join('\n');
  texts.extra_env = textOfVariables(options.extra_env);
  return texts;
}
