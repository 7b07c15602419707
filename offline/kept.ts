import { stat } from 'node:fs/promises';
import { chunkBytes } from './bill.ts';
import { writeDurably } from './durable-file.ts';
import type { FileSums, HashPool } from './hash-pool.ts';
import type { LedgerState } from './ledger.ts';
import type { Member } from './member.ts';
import type { PackageFolders } from './package-writer.ts';

/**
 * The members that an earlier run has finished, read once more: an archive that was altered since is fetched again rather
 * than carried across the gap.
 */
export async function keptMembers(
  members: readonly Member[],
  state: LedgerState,
  folders: PackageFolders,
  pool: HashPool,
): Promise<ReadonlyMap<string, FileSums>> {
  const kept = new Map<string, FileSums>();
  await Promise.all(
    members.map(async ({ name, sizeBytes, identity }) => {
      const known = state.files.get(identity);
      if (known === undefined || known.sizeBytes !== sizeBytes) return;
      const pieces = folders.pathsOf(name);
      const sizes = await Promise.all(
        pieces.map(({ path }) =>
          stat(path).then(
            ({ size }) => size,
            () => -1,
          ),
        ),
      );
      if (pieces.some((piece, index) => sizes[index] !== piece.sizeBytes)) return;
      const follower = pool.follow({ source: { pieces }, chunkBytes, marks: [] }, () => undefined);
      follower.advance(sizeBytes);
      const sums = await follower.done.catch(() => null);
      if (sums !== null && sums.sha256 === known.sha256) kept.set(name, sums);
    }),
  );
  return kept;
}

/** What the next run needs to know: the finished files, without the history of their parts. */
export function rememberFiles(
  ledgerFile: string,
  members: readonly Member[],
  sums: ReadonlyMap<string, FileSums>,
): Promise<void> {
  const lines = members.flatMap(({ name, sizeBytes, identity }) => {
    const found = sums.get(name);
    if (found === undefined) return [];
    return [
      JSON.stringify({ kind: 'file', member: identity, name, sizeBytes, sha256: found.sha256, chunks: found.chunks }),
    ];
  });
  return writeDurably(ledgerFile, Buffer.from(lines.map((line) => `${line}\n`).join('')));
}
