import type { Cause } from '../../../../contract/diagnosis.ts';
import { fixesFor, type Subject } from './fixes.ts';
import { causes, consequences, type Rule } from './rules.ts';

export interface Diagnosis {
  readonly reason: string;
  readonly hint: string;
  /** What the log shows of it; left out where that is nothing. */
  readonly cause?: Cause;
}

interface Exit {
  readonly exitCode: number;
  readonly oomKilled: boolean;
  /** What Docker says. */
  readonly error: string;
}

const shownLength = 240;

/** Lines by which an engine says that all is well, or that it found another way. */
const untroubled = /^(?:\([^)]*\)\s*)?(?:INFO|WARNING|DEBUG)\s|^\S+ \[\d+\] NCCL INFO|^\d+\.\d+\.\d+\.\d+ [IWD] /;

const lasting: ReadonlySet<string> = new Set(['driver-too-old', 'no-gpu-runtime', 'no-gpu', 'wrong-platform']);

interface Recognised extends Pick<Rule, 'code' | 'reason' | 'hint'> {
  readonly evidence: string;
  readonly found: RegExpExecArray;
}

/** The known failure that a log shows, with the line that shows it; the newest run of an engine counts. */
export function recognise(lines: readonly string[]): Recognised | null {
  const troubled = lines.filter((line) => !untroubled.test(line)).reverse();
  return newest(troubled, causes) ?? newest(troubled, consequences);
}

function newest(lines: readonly string[], rules: readonly Rule[]): Recognised | null {
  for (const line of lines)
    for (const { code, pattern, reason, hint, precise } of rules) {
      const found = pattern.exec(line);
      if (found === null) continue;
      return { code, evidence: shown(line), reason, hint: precise?.(found) ?? hint, found };
    }
  return null;
}

const shown = (line: string): string => line.trim().slice(0, shownLength);

/** What stands behind Docker's refusal to start an engine, and whether it stays so until somebody changes the machine. */
export function diagnoseRefusal(message: string): { words: Diagnosis; lasts: boolean } | null {
  const known = recognise([message]);
  if (known === null) return null;
  const { code, reason, hint, evidence } = known;
  return { words: { reason, hint, cause: { evidence, fixes: [] } }, lasts: lasting.has(code) };
}

/** Why an engine ended, told from the end of its log: a known cause with the line that shows it, or the last words. */
export function diagnose(lines: readonly string[], exit: Exit, subject: Subject): Diagnosis {
  const last = shown(lines.findLast((line) => line.trim() !== '') ?? '');
  if (exit.oomKilled)
    return {
      reason: 'the system ended it: out of memory',
      hint: 'Use a smaller context or model, or stop another model first.',
      cause: { evidence: last, fixes: fixesFor('memory', [], subject) },
    };
  const known = recognise(exit.error === '' ? lines : [...lines, exit.error]);
  if (known !== null) {
    const { code, reason, hint, evidence, found } = known;
    return { reason, hint, cause: { evidence, fixes: fixesFor(code, found, subject) } };
  }
  const words = shown(exit.error) || last;
  return {
    reason: `the engine ended with code ${exit.exitCode}${words ? `: ${words}` : ''}`,
    hint: 'The log below shows what it did last.',
    ...(words === '' ? {} : { cause: { evidence: words, fixes: [] } }),
  };
}
