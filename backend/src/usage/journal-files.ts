import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** The most that one read gives: longer than any line. */
export const readLimitBytes = 1024 * 1024;

const segmentName = (number: number) => `journal-${String(number).padStart(8, '0')}.jsonl`;

/** A journal is a folder of numbered files, each of which is only ever appended to. */
export const segmentPath = (dir: string, number: number) => join(dir, segmentName(number));

/** The numbers of a journal's files, oldest first; none where there is no such folder. */
export async function segmentsIn(dir: string): Promise<number[]> {
  const names = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names
    .flatMap((name) => /^journal-(\d{8})\.jsonl$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

/** 0 where there is no such file. */
export const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    (found) => found.size,
    () => 0,
  );

export const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** @returns how many bytes it has put into `target`, at most as many as there is room; 0 where there are none */
export async function readInto(target: Buffer, path: string, offset: number): Promise<number> {
  if ((await sizeOf(path)) <= offset) return 0;
  const file = await open(path, 'r');
  try {
    return (await file.read(target, 0, target.length, offset)).bytesRead;
  } finally {
    await file.close();
  }
}
