import type { Bill } from './bill.ts';

export interface BillDiff {
  readonly changes: readonly {
    readonly change: 'added' | 'removed' | 'changed';
    readonly name: string;
    readonly detail: string;
  }[];
  /** What has to travel to someone who has the older one. */
  readonly newBytes: number;
  readonly totalBytes: number;
}

/** What the newer package has that the older one has not. */
export function diffBills(older: Bill, newer: Bill): BillDiff {
  const changes: BillDiff['changes'][number][] = [];
  const keyOf = ({ reference, platform }: Bill['images'][number]) => `${reference} (${platform})`;
  const before = new Map(older.images.map((image) => [keyOf(image), image]));
  const after = new Map(newer.images.map((image) => [keyOf(image), image]));
  for (const [name, image] of after) {
    const old = before.get(name);
    if (old === undefined) changes.push({ change: 'added', name, detail: image.manifest_digest.slice(7, 19) });
    else if (old.manifest_digest !== image.manifest_digest)
      changes.push({
        change: 'changed',
        name,
        detail: `${old.manifest_digest.slice(7, 19)} → ${image.manifest_digest.slice(7, 19)}`,
      });
  }
  for (const name of before.keys()) if (!after.has(name)) changes.push({ change: 'removed', name, detail: '' });
  const sumsOf = (bill: Bill) =>
    new Map(
      bill.models.map((model) => [
        model.name,
        model.files
          .map(({ sha256 }) => sha256)
          .sort()
          .join(),
      ]),
    );
  const oldModels = sumsOf(older);
  const newModels = sumsOf(newer);
  for (const [name, sums] of newModels) {
    if (!oldModels.has(name)) changes.push({ change: 'added', name: `models/${name}`, detail: '' });
    else if (oldModels.get(name) !== sums) changes.push({ change: 'changed', name: `models/${name}`, detail: '' });
  }
  for (const name of oldModels.keys())
    if (!newModels.has(name)) changes.push({ change: 'removed', name: `models/${name}`, detail: '' });
  const known = new Set([
    ...older.images.flatMap(({ blobs }) => blobs.map(({ digest }) => digest)),
    ...older.models.flatMap(({ files }) => files.map(({ sha256 }) => sha256)),
  ]);
  const pieces = new Map<string, number>();
  for (const { blobs } of newer.images) for (const { digest, sizeBytes } of blobs) pieces.set(digest, sizeBytes);
  for (const { files } of newer.models) for (const { sha256, sizeBytes } of files) pieces.set(sha256, sizeBytes);
  const sum = (entries: readonly [string, number][]) => entries.reduce((total, [, sizeBytes]) => total + sizeBytes, 0);
  return { changes, newBytes: sum([...pieces].filter(([digest]) => !known.has(digest))), totalBytes: sum([...pieces]) };
}
