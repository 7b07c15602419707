import { valueOfText } from '../engine-options/form-text.ts';
import type { Spelling } from '../engine-options/option.ts';
import { flagOf, refusedArguments, refusedEnvironment } from '../engine-options/reserved.ts';
import { optionTables } from '../engine-options/tables.ts';
import { isSecretFlag, isSecretVariable } from '../hidden.ts';
import type { Engine } from '../models.ts';
import type { ImportNote } from '../recipes.ts';

/** Short and former spellings of flags, and what they are called now. */
const drifted: Readonly<Record<Engine, Readonly<Record<string, string>>>> = {
  vllm: {
    '--disable-log-requests': '--no-enable-log-requests',
    '-tp': '--tensor-parallel-size',
    '-q': '--quantization',
  },
  llamacpp: {
    '-c': '--ctx-size',
    '-ngl': '--n-gpu-layers',
    '--gpu-layers': '--n-gpu-layers',
    '-b': '--batch-size',
    '-ub': '--ubatch-size',
    '-t': '--threads',
    '-np': '--parallel',
    '-ts': '--tensor-split',
    '-sm': '--split-mode',
    '-mg': '--main-gpu',
    '-fa': '--flash-attn',
    '-ctk': '--cache-type-k',
    '-ctv': '--cache-type-v',
    '-lm': '--load-mode',
    '-n': '--n-predict',
    '-ot': '--override-tensor',
    '-ncmoe': '--n-cpu-moe',
    '-s': '--seed',
    '--draft': '--draft-max',
    '--draft-n': '--draft-max',
    '--spec-draft-p-min': '--draft-p-min',
    '--spec-draft-ngl': '--gpu-layers-draft',
  },
};

/** What the engine was given beside its fields, as it is here. */
export interface Startup {
  readonly options: Record<string, unknown>;
  readonly extra_args: string[];
  readonly extra_env: Record<string, string>;
  readonly notes: ImportNote[];
}

const listOf = (text: unknown): unknown[] | null => {
  try {
    const value: unknown = typeof text === 'string' ? JSON.parse(text) : text;
    return Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
};

const note = (
  field: string,
  outcome: ImportNote['outcome'],
  to: string | null,
  message: string | null,
): ImportNote => ({
  field,
  outcome,
  to,
  message,
});

/** The list of `{ flag, value }` of a recipe: flags that have a field of their own become it. */
export function readArguments(engine: Engine, text: unknown, into: Startup): void {
  const field = 'engine_startup_args_json';
  const items = listOf(text);
  if (items === null) into.notes.push(note(field, 'refused', null, 'It is not a list.'));
  for (const item of items ?? []) {
    const { flag, value = null } = Object(item) as { flag?: unknown; value?: unknown };
    if (typeof flag !== 'string' || flag === '') {
      into.notes.push(note(field, 'refused', null, `An entry has no flag: ${JSON.stringify(item)}.`));
      continue;
    }
    readArgument(engine, `${field} ${flag}`, flag, value, into);
  }
}

function readArgument(engine: Engine, field: string, flag: string, value: unknown, into: Startup): void {
  const current = drifted[engine][flag] ?? flag;
  const known = optionOf(engine, flagOf(engine, current));
  if (known !== null) {
    const meant = valueOfFlag(engine, known, value);
    into.options[known.name] = meant;
    into.notes.push(note(field, 'taken', `options.${known.name}`, current === flag ? null : `It is ${current} now.`));
    return;
  }
  const isBare = value === null || value === '' || typeof value === 'boolean';
  if (value === false) {
    into.notes.push(note(field, 'left_out', null, 'It is off.'));
    return;
  }
  const words = isBare ? [current] : [current, typeof value === 'object' ? JSON.stringify(value) : String(value)];
  const [refusal] = refusedArguments(engine, words);
  if (refusal !== undefined) {
    into.notes.push(note(field, 'refused', null, refusal.reason));
    return;
  }
  if (!isBare && isSecretFlag(current)) {
    into.notes.push(note(field, 'left_out', null, 'It is a secret: give it to the model itself.'));
    return;
  }
  into.extra_args.push(...words);
  into.notes.push(note(field, 'taken', 'options.extra_args', null));
}

interface KnownFlag {
  readonly name: string;
  readonly spelling: Spelling;
  readonly flag: string;
}

function optionOf(engine: Engine, flag: string): KnownFlag | null {
  for (const [name, { spellings }] of Object.entries(optionTables[engine])) {
    const spelling = spellings.find((one) =>
      one.form === 'map'
        ? Object.values(one.words).some((words) => words.length === 1 && words[0] === flag)
        : one.flag === flag || (one.form === 'pair' && one.off === flag),
    );
    if (spelling !== undefined) return { name, spelling, flag };
  }
  return null;
}

function valueOfFlag(engine: Engine, { name, spelling, flag }: KnownFlag, value: unknown): unknown {
  if (spelling.form === 'map')
    return Object.entries(spelling.words).find(([, words]) => words.length === 1 && words[0] === flag)?.[0];
  const isOn = value !== false && value !== 'false';
  if (spelling.form === 'switch') return isOn;
  if (spelling.form === 'off') return !isOn;
  if (spelling.form === 'pair') return flag === spelling.flag ? isOn : !isOn;
  const option = optionTables[engine][name];
  return typeof value === 'string' && option !== undefined ? valueOfText(option, value) : value;
}

/** The list of `{ key, value }` of a recipe. Secrets stay out. */
export function readVariables(engine: Engine, text: unknown, into: Startup): void {
  const field = 'engine_startup_env_json';
  const items = listOf(text);
  if (items === null) into.notes.push(note(field, 'refused', null, 'It is not a list.'));
  for (const item of items ?? []) {
    const { key, value } = Object(item) as { key?: unknown; value?: unknown };
    const name = typeof key === 'string' ? key : '';
    const [refusal] = refusedEnvironment(engine, { [name]: String(value ?? '') });
    if (refusal !== undefined) into.notes.push(note(`${field} ${name}`, 'refused', null, refusal.reason));
    else if (isSecretVariable(name))
      into.notes.push(note(`${field} ${name}`, 'left_out', null, 'It is a secret: give it to the model itself.'));
    else {
      into.extra_env[name] = String(value ?? '');
      into.notes.push(note(`${field} ${name}`, 'taken', `options.extra_env.${name}`, null));
    }
  }
}
