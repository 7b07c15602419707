/** A value as the API has it. */
export type OptionValue = number | boolean | string | readonly number[] | Readonly<Record<string, unknown>>;

/** What a value may be. `file` is a path below the model's folder. */
export type OptionKind =
  | { readonly kind: 'integer' | 'number'; readonly min: number; readonly max: number }
  | { readonly kind: 'integers' | 'numbers'; readonly min: number; readonly max: number }
  | { readonly kind: 'boolean' | 'json' | 'file' }
  | { readonly kind: 'choice'; readonly choices: readonly string[] }
  | { readonly kind: 'text'; readonly pattern: RegExp };

/**
 * How one range of versions writes an option on its command line. From `since` on (none: older than this table), and not
 * any more from `until` on.
 * - value: `--flag 5`; joined: `--flag 1,2`; values: `--flag 1 2`; pairs: `--flag image=2,video=1`; word: `--flag false`
 * - switch: `--flag` for true, nothing for false; off: nothing for true, `--flag` for false; pair: `--flag` or `--no-flag`
 * - map: the words that stand for a choice; a choice that is not in it can't be said to these versions
 */
export type Spelling = { readonly since?: string; readonly until?: string } & (
  | { readonly form: 'value' | 'joined' | 'values' | 'pairs' | 'word' | 'switch' | 'off'; readonly flag: string }
  | { readonly form: 'pair'; readonly flag: string; readonly off: string }
  | { readonly form: 'map'; readonly words: Readonly<Record<string, readonly string[]>> }
);

/** One option of an engine: from it come the schema, the form, the command line, the checks and the documentation. */
export type EngineOption = OptionKind & {
  readonly group: string;
  readonly help: string;
  readonly unit?: string;
  /** What the engine does where it is left empty; null: it depends on the model, the machine or the version. */
  readonly standard: OptionValue | null;
  /** Shown before the advanced ones are opened. */
  readonly essential?: true;
  /** Oldest first; the ranges don't overlap. */
  readonly spellings: readonly [Spelling, ...Spelling[]];
};

type Facts = Pick<EngineOption, 'group' | 'help' | 'standard' | 'unit' | 'essential'>;

/** The negation that argparse and llama.cpp give a flag: `--no-flag`. */
export const pairOf = (flag: string, range: { since?: string; until?: string } = {}): Spelling => ({
  form: 'pair',
  flag,
  off: `--no-${flag.slice(2)}`,
  ...range,
});

const spelled = (
  flag: string | readonly [Spelling, ...Spelling[]],
  form: 'value' | 'switch',
): readonly [Spelling, ...Spelling[]] => (typeof flag === 'string' ? [{ form, flag }] : flag);

type Flag = string | readonly [Spelling, ...Spelling[]];

export const integer = (flag: Flag, min: number, max: number, facts: Facts): EngineOption => ({
  kind: 'integer',
  min,
  max,
  spellings: spelled(flag, 'value'),
  ...facts,
});

export const number = (flag: Flag, min: number, max: number, facts: Facts): EngineOption => ({
  ...integer(flag, min, max, facts),
  kind: 'number',
  min,
  max,
});

export const choice = (flag: Flag, choices: readonly string[], facts: Facts): EngineOption => ({
  kind: 'choice',
  choices,
  spellings: spelled(flag, 'value'),
  ...facts,
});

export const toggle = (flag: Flag, facts: Facts): EngineOption => ({
  kind: 'boolean',
  spellings: spelled(flag, 'switch'),
  ...facts,
});

/** A JSON object, or a path below the model's folder. */
export const structured = (kind: 'json' | 'file', flag: Flag, facts: Facts): EngineOption => ({
  kind,
  spellings: spelled(flag, 'value'),
  ...facts,
});

/** The name of a parser, a format or a backend: which ones there are differs from version to version. */
export const name = (flag: Flag, facts: Facts): EngineOption => ({
  kind: 'text',
  pattern: /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/,
  spellings: spelled(flag, 'value'),
  ...facts,
});
