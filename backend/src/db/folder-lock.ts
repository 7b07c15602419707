import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CortexError } from '../../../contract/errors.ts';

/** When a process began, in ticks since the machine's start: tells it from a later one with the same number. */
function startedAt(pid: number): string | null {
  try {
    // The name in the second field may hold spaces; the fields after it are counted from its closing bracket.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

function holder(path: string): number | null {
  try {
    const [pid, started] = readFileSync(path, 'utf8').trim().split(' ');
    return started !== undefined && startedAt(Number(pid)) === started ? Number(pid) : null;
  } catch {
    return null;
  }
}

/**
 * Keeps a second server away from the embedded database: two at once would destroy it. A crash leaves nothing to clean up.
 * @returns the release
 * @throws CortexError database_unavailable
 */
export function lockFolder(folder: string): () => void {
  const path = join(folder, 'lock');
  const pid = holder(path);
  if (pid !== null) {
    throw new CortexError('database_unavailable', { reason: `another Cortex (process ${pid}) has ${folder} open` });
  }
  writeFileSync(path, `${process.pid} ${startedAt(process.pid) ?? ''}\n`);
  return () => rmSync(path, { force: true });
}
