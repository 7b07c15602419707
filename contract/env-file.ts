import { CortexError } from './errors.ts';

/**
 * Reads a file of NAME=value lines: quotes, comments after ` #`, an `export` in front and CRLF are understood.
 * `knownNames` finds two settings that were run together because the line above had no end (`A=trueOFFLINE_MODE=True`).
 * @throws CortexError env_line_invalid
 */
export function parseEnvFile(text: string, file: string, knownNames: readonly string[] = []): Map<string, string> {
  const values = new Map<string, string>();
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const match = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$/.exec(line);
    const refuse = (reason: string) => new CortexError('env_line_invalid', { file, line: index + 1, reason });
    if (match === null) throw refuse('this is not a setting');
    const [, name = '', rest = ''] = match;
    const value = readValue(rest);
    if (value === null) throw refuse(`the quotes of ${name} are not closed, or something follows them`);
    const glued = knownNames.find((known) => known.length > 5 && value.includes(`${known}=`));
    if (glued !== undefined) throw refuse(`two settings are on one line: ${name} and ${glued}`);
    values.set(name, value);
  }
  return values;
}

function readValue(rest: string): string | null {
  const quote = rest[0];
  if (quote === '"' || quote === "'") {
    const end = rest.indexOf(quote, 1);
    return end === -1 || !/^\s*(#.*)?$/.test(rest.slice(end + 1)) ? null : rest.slice(1, end);
  }
  if (rest.startsWith('#')) return '';
  return rest.replace(/\s+#.*$/, '').trim();
}
