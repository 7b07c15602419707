import { createInterface } from 'node:readline/promises';
import type { ConfigurationChange } from '../../contract/configuration.ts';
import { CortexError, exitCodes } from '../../contract/errors.ts';
import { routes } from '../../contract/routes.ts';
import { readContext } from '../context.ts';
import { interruptible } from '../offline/session.ts';
import { RefusedError } from '../server.ts';
import { carryOut } from './carry-out.ts';
import { readFiles } from './read-files.ts';
import { resolveDocuments, type Wanted } from './resolve.ts';
import { type SessionFlags, type SignedInCall, withSession } from './session.ts';
import { changeLines, summaryLine } from './show.ts';

export interface ApplyFlags extends SessionFlags {
  readonly file: string[];
  readonly prune?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

type Result = 'done' | 'failed' | 'not_tried' | 'planned' | 'unchanged';
interface Outcome extends ConfigurationChange {
  readonly result: Result;
  readonly error: { readonly code: string; readonly message: string } | null;
}

const print = (text: string): boolean => process.stdout.write(`${text}\n`);

/** Shows what files would change, and makes it so. @throws CortexError description_faulty, confirmation_missing, apply_incomplete */
export async function apply(flags: ApplyFlags): Promise<void> {
  const { described, faults } = await readFiles(flags.file, readContext().env);
  refuse(faults);
  await withSession(flags, async (call) => {
    const resolved = await resolveDocuments(described, call);
    refuse(resolved.faults);
    const { wanted } = resolved;
    const { changes } = await call(routes.diffConfiguration, {
      body: {
        models: wanted.flatMap((one) => (one.kind === 'Model' ? [one.body] : [])),
        recipes: wanted.flatMap(({ kind, name, body }) => (kind === 'Recipe' ? [{ name, content: body }] : [])),
        prune: flags.prune ?? false,
      },
    });
    refuse(changes.flatMap((change) => issuesOf(change, wanted)));
    await settle(changes, wanted, flags, call);
  });
}

/** All that is wrong, at once, before anything is changed. */
function refuse(faults: readonly string[]): void {
  if (faults.length === 0) return;
  for (const fault of faults) process.stderr.write(`${fault}\n`);
  throw new CortexError('description_faulty', { faults: faults.length });
}

const issuesOf = ({ kind, name, issues }: ConfigurationChange, wanted: readonly Wanted[]): string[] => {
  const at = wanted.find((one) => one.kind === kind && one.name === name)?.at ?? '';
  return issues.map(
    ({ param, message, hint }) =>
      `${at}: ${kind} ${name}: ${param === null ? '' : `${param}: `}${message}${hint === null ? '' : `\n  → ${hint}`}`,
  );
};

async function settle(
  changes: readonly ConfigurationChange[],
  wanted: readonly Wanted[],
  flags: ApplyFlags,
  call: SignedInCall,
): Promise<void> {
  const pending = changes.filter(({ action }) => action !== 'unchanged');
  const say = (text: string) => (flags.json ? true : print(text));
  for (const change of pending) for (const line of changeLines(change)) say(line);
  say(summaryLine(changes));
  if (pending.length === 0 || flags.dryRun) {
    if (flags.json) report(changes.map((change) => untouched(change, 'planned')));
    if (pending.length > 0) process.exitCode = exitCodes.changes;
    return;
  }
  if (!flags.yes && !(await isConfirmed(flags))) {
    say('Nothing was changed.');
    process.exitCode = exitCodes.changes;
    return;
  }
  const outcomes = await carryOutAll(changes, wanted, call, say);
  if (flags.json) report(outcomes);
  const count = (result: Result) => outcomes.filter((one) => one.result === result).length;
  const [done, failed, left] = [count('done'), count('failed'), count('not_tried')];
  if (failed + left > 0) throw new CortexError('apply_incomplete', { done, failed, left });
}

async function isConfirmed({ json, file }: ApplyFlags): Promise<boolean> {
  // Standard input may be the description itself.
  if (json || file.includes('-') || !process.stdin.isTTY || !process.stdout.isTTY)
    throw new CortexError('confirmation_missing', {});
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await terminal.question('Apply this? [y/N] ')).trim());
  } finally {
    terminal.close();
  }
}

/** One change after the other, until one fails: what is left is told as not tried. */
async function carryOutAll(
  changes: readonly ConfigurationChange[],
  wanted: readonly Wanted[],
  call: SignedInCall,
  say: (text: string) => unknown,
): Promise<Outcome[]> {
  const signal = interruptible();
  const outcomes: Outcome[] = [];
  let isStopped = false;
  for (const change of changes) {
    const name = `${change.kind} ${change.name}`;
    isStopped ||= signal.aborted;
    if (change.action === 'unchanged' || isStopped) {
      outcomes.push(untouched(change, 'not_tried'));
      if (change.action !== 'unchanged') say(`· ${name}: not tried`);
      continue;
    }
    try {
      await carryOut(
        change,
        wanted.find((one) => one.kind === change.kind && one.name === change.name),
        call,
      );
      outcomes.push({ ...change, result: 'done', error: null });
      say(`✓ ${name}: ${change.action}d`);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const isKnown = error instanceof RefusedError || error instanceof CortexError;
      outcomes.push({ ...change, result: 'failed', error: { code: isKnown ? error.code : 'internal_error', message } });
      say(`✗ ${name}: ${message}`);
      isStopped = true;
    }
  }
  return outcomes;
}

const untouched = (change: ConfigurationChange, result: Result): Outcome => ({
  ...change,
  result: change.action === 'unchanged' ? 'unchanged' : result,
  error: null,
});

function report(outcomes: readonly Outcome[]): void {
  const count = (action: ConfigurationChange['action']) => outcomes.filter((one) => one.action === action).length;
  const summary = {
    ...{ create: count('create'), update: count('update'), delete: count('delete'), unchanged: count('unchanged') },
  };
  print(JSON.stringify({ summary, changes: outcomes }, null, 2));
}
