import type { EngineOption, OptionValue, Spelling } from '../../../contract/engine-options/option.ts';
import { flagOf } from '../../../contract/engine-options/reserved.ts';
import { type EngineName, engineNames, optionTables } from '../../../contract/engine-options/tables.ts';
import type { EngineFacts } from './help.ts';

export interface OptionIssue {
  /** The field, such as `max_model_len` or `extra_args.0`. */
  readonly option: string;
  readonly message: string;
}

export interface Written {
  readonly words: readonly string[];
  readonly issues: readonly OptionIssue[];
}

type Options = Readonly<Record<string, unknown>> & { readonly extra_args: readonly string[] };

const numbersOf = (version: string): number[] => (version.match(/\d+/g) ?? []).map(Number);

/** Below zero where `a` is older. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [numbersOf(a), numbersOf(b)];
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

const has = ({ since, until }: Spelling, version: string): boolean =>
  (since === undefined || compareVersions(version, since) >= 0) &&
  (until === undefined || compareVersions(version, until) < 0);

/** Words of an option in one spelling; null where this spelling has none for the value. */
function say(option: EngineOption, spelling: Spelling, value: OptionValue, folder: string): readonly string[] | null {
  switch (spelling.form) {
    case 'switch':
      return value === true ? [spelling.flag] : [];
    case 'off':
      return value === false ? [spelling.flag] : [];
    case 'pair':
      return [value === true ? spelling.flag : spelling.off];
    case 'map':
      return spelling.words[String(value)] ?? null;
    case 'joined':
      return [spelling.flag, Array.isArray(value) ? value.join(',') : String(value)];
    case 'values':
      return [spelling.flag, ...(Array.isArray(value) ? value.map(String) : [String(value)])];
    case 'pairs':
      return [
        spelling.flag,
        Object.entries(value)
          .map(([key, count]) => `${key}=${String(count)}`)
          .join(','),
      ];
    case 'word':
      return [spelling.flag, String(value)];
    case 'value':
      if (option.kind === 'file') return [spelling.flag, `${folder}/${String(value)}`];
      return [spelling.flag, typeof value === 'object' ? JSON.stringify(value) : String(value)];
  }
}

const flagsOf = (spelling: Spelling): readonly string[] =>
  spelling.form === 'map' ? Object.values(spelling.words).flat() : [spelling.flag];

/** Whether the image's `--help` has what a spelling needs for these words. */
function isKnown(
  option: EngineOption,
  spelling: Spelling,
  words: readonly string[],
  flags: ReadonlyMap<string, boolean>,
): boolean {
  const needed = words.filter((word) => word.startsWith('--'));
  if (!needed.every((flag) => flags.has(flag))) return false;
  // Some flags took no value in older versions and take one now: there, what the help says of the value tells which it is.
  const changed = (flag: string) =>
    option.spellings.some(
      (other) =>
        other !== spelling && (other.form === 'map') !== (spelling.form === 'map') && flagsOf(other).includes(flag),
    );
  return needed.every((flag) => !changed(flag) || flags.get(flag) === (spelling.form !== 'map'));
}

const rangeOf = ({ since, until }: Spelling): string =>
  [since === undefined ? '' : `from ${since}`, until === undefined ? '' : `up to before ${until}`]
    .filter(Boolean)
    .join(' ');

function write(
  engine: EngineName,
  name: string,
  option: EngineOption,
  value: OptionValue,
  facts: EngineFacts,
  folder: string,
): Written {
  const { version, flags } = facts;
  const spellings = [...option.spellings].reverse();
  const fitting = version === null ? spellings : spellings.filter((spelling) => has(spelling, version));
  // The image's own word goes before the table's: a spelling that the table has for other versions serves where it is listed.
  const candidates = flags === null ? fitting : [...fitting, ...spellings];
  for (const spelling of candidates) {
    const words = say(option, spelling, value, folder);
    if (words !== null && (flags === null || isKnown(option, spelling, words, flags))) return { words, issues: [] };
  }
  const able = option.spellings.filter((spelling) => say(option, spelling, value, folder) !== null);
  const ranges = able.map(rangeOf).filter(Boolean).join(', ');
  const which = version === null ? 'of this image' : version;
  const subject = spellings.some((spelling) => spelling.form === 'map') ? `${name}=${String(value)}` : name;
  const message = `${engineNames[engine]} ${which} does not have ${subject}${ranges === '' ? '' : ` (it is there ${ranges})`}.`;
  return { words: [], issues: [{ option: name, message }] };
}

/** The part of a command line that comes from the options, and what this engine can't be told. */
export function writeOptions(engine: EngineName, options: Options, facts: EngineFacts, folder: string): Written {
  const words: string[] = [];
  const issues: OptionIssue[] = [];
  for (const [name, option] of Object.entries(optionTables[engine])) {
    const value = options[name];
    if (value === null || value === undefined) continue;
    // The schema that is made from this same table has checked the value.
    const written = write(engine, name, option, value as OptionValue, facts, folder);
    words.push(...written.words);
    issues.push(...written.issues);
  }
  options.extra_args.forEach((argument, index) => {
    const flag = flagOf(engine, argument);
    if (flag.startsWith('--') && facts.flags !== null && !facts.flags.has(flag)) {
      const message = `${engineNames[engine]} ${facts.version ?? 'of this image'} does not have ${flag}.`;
      issues.push({ option: `extra_args.${index}`, message });
    }
  });
  return { words: [...words, ...options.extra_args], issues };
}
