import type { Dirent } from 'node:fs';
import { opendir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { FolderSummary } from '../../../contract/models.ts';
import { realPathInside } from './folder-files.ts';

/** What a walk may take. Each bound that is reached is named in the result. */
export interface WalkBounds {
  /** Levels below the models folder: `organisation/model/quantisation` takes three. */
  readonly depth: number;
  /** Names looked at, of files and folders together. */
  readonly entries: number;
  /** Folders with models that are listed. */
  readonly folders: number;
  readonly timeMs: number;
}

const usualBounds: WalkBounds = { depth: 5, entries: 200_000, folders: 2000, timeMs: 20_000 };

export interface FolderWalk {
  readonly folders: FolderSummary[];
  /** What was not looked at, and which bound stopped it. */
  readonly incomplete: string[];
}

interface Progress {
  readonly realRoot: string;
  readonly bounds: WalkBounds;
  readonly deadline: number;
  readonly usedBy: (folder: string) => string[];
  readonly found: FolderSummary[];
  readonly reached: Set<keyof WalkBounds>;
  entries: number;
  hasLooseFiles: boolean;
}

const looseFiles = 'Models that lie in this folder itself are not offered: give each a folder of its own.';

/**
 * Folders below the root that hold weights, by name. Links are not entered, so there is no way round in a circle; what
 * is held at a time are the subfolders on the way down. A root that is not there yet has no folders.
 */
export async function listModelFolders(
  root: string,
  usedBy: (folder: string) => string[],
  bounds: WalkBounds = usualBounds,
): Promise<FolderWalk> {
  const realRoot = await realpath(root).catch(() => null);
  if (realRoot === null) return { folders: [], incomplete: [] };
  const deadline = performance.now() + bounds.timeMs;
  const walk: Progress = {
    ...{ realRoot, bounds, deadline, usedBy },
    ...{ found: [], reached: new Set(), entries: 0, hasLooseFiles: false },
  };
  await visit(walk, '', 0);
  return {
    folders: walk.found.sort((a, b) => a.folder.localeCompare(b.folder)),
    incomplete: [
      ...(walk.hasLooseFiles ? [looseFiles] : []),
      ...[...walk.reached].map((bound) => describeBound(bound, bounds)),
    ],
  };
}

async function visit(walk: Progress, folder: string, depth: number): Promise<void> {
  const path = join(walk.realRoot, folder);
  const formats = new Set<'gguf' | 'safetensors'>();
  const subfolders: string[] = [];
  let sizeBytes = 0;
  let isSentenceModel = false;
  const dir = await opendir(path).catch(() => null);
  if (dir === null) return;
  for await (const entry of dir) {
    walk.entries += 1;
    if (isOver(walk)) break;
    if (entry.isDirectory()) {
      if (!entry.name.startsWith('.')) subfolders.push(entry.name);
      continue;
    }
    if (entry.name === 'modules.json') isSentenceModel = true;
    const format = /\.(gguf|safetensors)$/.exec(entry.name)?.[1];
    const size = format === undefined ? null : await sizeOf(walk, path, entry);
    if (size === null) continue;
    formats.add(format === 'gguf' ? 'gguf' : 'safetensors');
    sizeBytes += size;
  }
  if (folder === '') walk.hasLooseFiles = formats.size > 0;
  else if (formats.size > 0) {
    walk.found.push({ folder, sizeBytes, formats: [...formats].sort(), used_by: walk.usedBy(folder) });
    if (walk.found.length >= walk.bounds.folders) walk.reached.add('folders');
  }
  // sentence-transformers keeps a model's last layers in numbered folders, which are no models.
  const models = isSentenceModel ? subfolders.filter((name) => !/^\d+_/.test(name)) : subfolders;
  if (depth === walk.bounds.depth) {
    if (models.length > 0) walk.reached.add('depth');
    return;
  }
  for (const name of models.sort()) {
    if (isOver(walk)) return;
    await visit(walk, folder === '' ? name : `${folder}/${name}`, depth + 1);
  }
}

function isOver(walk: Progress): boolean {
  if (walk.entries > walk.bounds.entries) walk.reached.add('entries');
  if (performance.now() > walk.deadline) walk.reached.add('timeMs');
  return walk.reached.has('entries') || walk.reached.has('timeMs') || walk.reached.has('folders');
}

/** A file's size, also through a link that stays inside; null of everything else. */
async function sizeOf(walk: Progress, path: string, entry: Dirent): Promise<number | null> {
  if (!entry.isFile() && !entry.isSymbolicLink()) return null;
  const real = entry.isFile() ? join(path, entry.name) : await realPathInside(join(path, entry.name), walk.realRoot);
  const found = real === null ? null : await stat(real).catch(() => null);
  return found?.isFile() ? found.size : null;
}

function describeBound(bound: keyof WalkBounds, { depth, entries, folders, timeMs }: WalkBounds): string {
  switch (bound) {
    case 'depth':
      return `Folders more than ${depth} levels down were not looked at.`;
    case 'entries':
      return `After ${entries.toLocaleString('en')} files and folders the search stopped: there may be more models.`;
    case 'folders':
      return `After ${folders.toLocaleString('en')} folders with models the search stopped: there may be more.`;
    case 'timeMs':
      return `After ${timeMs / 1000} s the search stopped: there may be more models.`;
  }
}
