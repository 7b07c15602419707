import { lstat, opendir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { CortexError } from '../../../contract/errors.ts';
import { ModelFileError } from './formats/byte-source.ts';

/** A regular file of a model folder. */
export interface FolderFile {
  readonly name: string;
  /** Its real path: where a link that stays inside the models folder leads. */
  readonly path: string;
  readonly sizeBytes: number;
  /** When its bytes or its rights last changed; nobody can set it back. */
  readonly changedMs: number;
}

export interface FolderFiles {
  readonly files: readonly FolderFile[];
  /** Links that lead out of the models folder: they are not followed. */
  readonly leaving: readonly string[];
  /** Whether the folder has more files than are looked at. */
  readonly isCut: boolean;
}

/** The largest models published have some hundred shards. */
export const mostFilesOfFolder = 2000;
/** Subfolders count here too: they are only passed over. */
const mostEntriesOfFolder = 100_000;

/**
 * The files of one folder by name; subfolders are not entered.
 * @param path a real path
 * @throws ModelFileError where Cortex may not look into it
 */
export async function filesOfFolder(path: string, realRoot: string): Promise<FolderFiles> {
  const names: string[] = [];
  let isCut = false;
  let entries = 0;
  const folder = await opendir(path).catch((error: NodeJS.ErrnoException) => {
    throw new ModelFileError(`Cortex may not look into this folder (${error.code ?? error.message})`);
  });
  for await (const entry of folder) {
    entries += 1;
    isCut = names.length === mostFilesOfFolder || entries > mostEntriesOfFolder;
    if (isCut) break;
    if (!entry.isDirectory()) names.push(entry.name);
  }
  const files: FolderFile[] = [];
  const leaving: string[] = [];
  for (const name of names.sort((a, b) => a.localeCompare(b))) {
    const real = await realFile(join(path, name));
    if (real === null) continue;
    if (!real.path.startsWith(realRoot + sep)) leaving.push(name);
    else files.push({ name, ...real });
  }
  return { files, leaving, isCut };
}

/** Where a path really leads; null where that is nowhere, or out of the models folder. */
export async function realPathInside(path: string, realRoot: string): Promise<string | null> {
  const real = await realpath(path).catch(() => null);
  return real?.startsWith(realRoot + sep) ? real : null;
}

/** A regular file's real path and size; null of everything else, and of a link that leads nowhere. */
async function realFile(path: string): Promise<Omit<FolderFile, 'name'> | null> {
  const found = await lstat(path).catch(() => null);
  if (found?.isFile()) return { path, sizeBytes: found.size, changedMs: found.ctimeMs };
  if (!found?.isSymbolicLink()) return null;
  const real = await realpath(path).catch(() => null);
  const target = real === null ? null : await stat(real).catch(() => null);
  return real !== null && target?.isFile() ? { path: real, sizeBytes: target.size, changedMs: target.ctimeMs } : null;
}

/**
 * The real path of a folder below the root. Names come from a client: `..`, absolute paths and links out of the root are refused.
 * @throws CortexError folder_not_found, folder_outside
 */
export async function resolveFolder(root: string, folder: string): Promise<string> {
  if (folder.includes('\0') || folder.startsWith('/') || folder.split('/').includes('..'))
    throw new CortexError('folder_outside', { folder, root });
  const realRoot = await realpath(root).catch(() => null);
  const path = realRoot === null ? null : await realpath(join(realRoot, folder)).catch(() => null);
  if (realRoot === null || path === null || !(await stat(path)).isDirectory())
    throw new CortexError('folder_not_found', { folder, root });
  if (!path.startsWith(realRoot + sep)) throw new CortexError('folder_outside', { folder, root });
  return path;
}
