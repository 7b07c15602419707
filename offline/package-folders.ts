import { constants } from 'node:fs';
import { type FileHandle, open, readdir, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';

/** Null for what is not there; anything else is thrown on. */
export function absent(error: unknown): null {
  const code: unknown = Object(error).code;
  if (code === 'ENOENT' || code === 'ENOTDIR') return null;
  throw error;
}

/** A folder of volumes stands for its volumes. */
export async function withVolumes(dirs: readonly string[]): Promise<string[]> {
  const all: string[] = [];
  for (const dir of dirs) {
    all.push(dir);
    const names = await readdir(dir).catch((): string[] => []);
    for (const name of names.sort()) if (/^volume-\d{3,4}$/.test(name)) all.push(join(dir, name));
  }
  return all;
}

/** Opens a file that really lies inside the folder: a link that leads elsewhere is not followed. */
export async function openInside(dir: string, path: string): Promise<FileHandle | null> {
  try {
    const [realDir, realFile] = await Promise.all([realpath(dir), realpath(path)]);
    if (!realFile.startsWith(`${realDir}${sep}`)) return null;
    return await open(realFile, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    return absent(error);
  }
}
