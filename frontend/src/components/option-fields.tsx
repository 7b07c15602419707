import { useId } from 'react';
import type { EngineOption } from '../../../contract/engine-options/option.ts';
import { type EngineName, engineNames, optionTables } from '../../../contract/engine-options/tables.ts';
import { Field, inputClass } from './field.tsx';

export interface OptionFieldsProps {
  engine: EngineName;
  /** Text by field; empty leaves the engine's own default. */
  values: Readonly<Record<string, string>>;
  problem: (path: string) => string | undefined;
  onChange: (name: string, text: string) => void;
}

type Entry = readonly [string, EngineOption];

/** The options of an engine: the essential ones in sight, the others by group, and last what has no field. */
export function OptionFields({ engine, values, problem, onChange }: OptionFieldsProps) {
  const all: Entry[] = Object.entries(optionTables[engine]);
  const advanced = all.filter(([, option]) => !option.essential);
  const groups = [...new Set(advanced.map(([, option]) => option.group))];
  const fields = (entries: readonly Entry[]) => (
    <div className="mt-3 grid gap-4 md:grid-cols-2">
      {entries.map(([name, option]) => (
        <OptionField
          key={name}
          name={name}
          option={option}
          text={values[name] ?? ''}
          error={problem(`options.${name}`)}
          onChange={(text) => onChange(name, text)}
        />
      ))}
    </div>
  );
  return (
    <details className="rounded-md border border-line p-3">
      <summary className="cursor-pointer font-medium">{engineNames[engine]} options</summary>
      <p className="mt-2 text-muted">Left empty, the engine's own default holds.</p>
      {fields(all.filter(([, option]) => option.essential))}
      <details className="mt-4">
        <summary className="cursor-pointer font-medium">Advanced</summary>
        <div className="mt-3 space-y-3">
          {groups.map((group) => {
            const entries = advanced.filter(([, option]) => option.group === group);
            const set = entries.filter(([name]) => values[name]).length;
            return (
              <details key={group} className="rounded-md border border-line p-3">
                <summary className="cursor-pointer">
                  {group}
                  <span className="text-muted">{set > 0 ? ` · ${set} set` : ''}</span>
                </summary>
                {fields(entries)}
              </details>
            );
          })}
          <Lines
            label="Further arguments"
            help="One word to a line, flags written out: --flag, then its value. Those that are Cortex's own are refused."
            text={values.extra_args ?? ''}
            error={problem('options.extra_args')}
            onChange={(text) => onChange('extra_args', text)}
          />
          <Lines
            label="Further variables of the environment"
            help="NAME=value, one to a line."
            text={values.extra_env ?? ''}
            error={problem('options.extra_env')}
            onChange={(text) => onChange('extra_env', text)}
          />
        </div>
      </details>
    </details>
  );
}

const placeholderOf = ({ standard }: EngineOption): string =>
  standard === null ? 'default' : typeof standard === 'object' ? JSON.stringify(standard) : String(standard);

function OptionField({
  name,
  option,
  text,
  error,
  onChange,
}: {
  name: string;
  option: EngineOption;
  text: string;
  error: string | undefined;
  onChange: (text: string) => void;
}) {
  const id = useId();
  const words = name.replaceAll('_', ' ');
  const label = option.unit === undefined || words.endsWith(option.unit) ? words : `${words} (${option.unit})`;
  if (option.kind !== 'choice' && option.kind !== 'boolean') {
    const isNumber = option.kind === 'integer' || option.kind === 'number';
    return (
      <Field
        label={label}
        help={
          isNumber
            ? `${option.help} ${option.min.toLocaleString('en')} to ${option.max.toLocaleString('en')}.`
            : option.help
        }
        error={error}
        inputMode={isNumber ? 'decimal' : 'text'}
        placeholder={placeholderOf(option)}
        value={text}
        onChange={(event) => onChange(event.target.value)}
      />
    );
  }
  const choices = option.kind === 'choice' ? option.choices : ['true', 'false'];
  return (
    <div className="space-y-1">
      <label htmlFor={id} className="block text-sm font-medium">
        {label}
      </label>
      <select
        id={id}
        className={inputClass}
        value={text}
        aria-invalid={error !== undefined}
        aria-describedby={`${id}-help`}
        onChange={(event) => onChange(event.target.value)}
      >
        <option value="">{option.standard === null ? 'default' : `default: ${shown(placeholderOf(option))}`}</option>
        {choices.map((value) => (
          <option key={value} value={value}>
            {shown(value)}
          </option>
        ))}
      </select>
      <p id={`${id}-help`} className={`text-xs ${error === undefined ? 'text-muted' : 'text-bad'}`}>
        {error ?? option.help}
      </p>
    </div>
  );
}

const shown = (value: string): string => ({ true: 'on', false: 'off' })[value] ?? value;

function Lines({
  label,
  help,
  text,
  error,
  onChange,
}: {
  label: string;
  help: string;
  text: string;
  error: string | undefined;
  onChange: (text: string) => void;
}) {
  const id = useId();
  return (
    <div className="space-y-1">
      <label htmlFor={id} className="block text-sm font-medium">
        {label}
      </label>
      <textarea
        id={id}
        rows={3}
        spellCheck={false}
        className="w-full rounded-md border border-line bg-surface p-2.5 font-mono text-xs text-text"
        value={text}
        aria-invalid={error !== undefined}
        aria-describedby={`${id}-help`}
        onChange={(event) => onChange(event.target.value)}
      />
      <p id={`${id}-help`} className={`text-xs ${error === undefined ? 'text-muted' : 'text-bad'}`}>
        {error ?? help}
      </p>
    </div>
  );
}
