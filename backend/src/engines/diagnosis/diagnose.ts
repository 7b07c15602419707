import { causes, consequences, type Rule } from './rules.ts';

export interface Diagnosis {
  readonly reason: string;
  readonly hint: string;
}

const shownLength = 240;

/** Lines by which an engine says that all is well, or that it found another way. */
const untroubled = /^(?:\([^)]*\)\s*)?(?:INFO|WARNING|DEBUG)\s|^\S+ \[\d+\] NCCL INFO|^\d+\.\d+\.\d+\.\d+ [IWD] /;

/** The known failure that a log shows, with the line that shows it; the newest run of an engine counts. */
export function recognise(
  lines: readonly string[],
): { code: string; evidence: string; reason: string; hint: string } | null {
  const troubled = lines.filter((line) => !untroubled.test(line)).reverse();
  return newest(troubled, causes) ?? newest(troubled, consequences);
}

function newest(lines: readonly string[], rules: readonly Rule[]): ReturnType<typeof recognise> {
  for (const line of lines)
    for (const { code, pattern, reason, hint } of rules) {
      const found = pattern.exec(line);
      if (found === null) continue;
      const evidence = line.trim().slice(0, shownLength);
      return { code, evidence, reason, hint: typeof hint === 'string' ? hint : hint(found) };
    }
  return null;
}

/** Why an engine ended, told from the end of its log: a known cause with the line that shows it, or the last words. */
export function diagnose(
  lines: readonly string[],
  exit: { exitCode: number; oomKilled: boolean; error: string },
): Diagnosis {
  if (exit.oomKilled)
    return {
      reason: 'the system ended it: out of memory',
      hint: 'Use a smaller context or model, or stop another model first.',
    };
  const known = recognise(exit.error === '' ? lines : [...lines, exit.error]);
  if (known !== null) return { reason: `${known.reason} (${known.evidence})`, hint: known.hint };
  const last = lines
    .findLast((line) => line.trim() !== '')
    ?.trim()
    .slice(0, shownLength);
  const words = exit.error || last;
  return {
    reason: `the engine ended with code ${exit.exitCode}${words ? `: ${words}` : ''}`,
    hint: 'The log below shows what it did last.',
  };
}
