import { readdir, realpath, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { CortexError } from '../../../../contract/errors.ts';
import type { ModelRecord } from '../../db/model-records.ts';
import { resolveFolder } from '../folder-files.ts';

/** The one folder that an engine is given. */
export interface FolderGrant {
  /** The real folder, as Docker's host names it: no link is left in it for Docker to follow. */
  readonly source: string;
  /** Device and inode: tells whether the folder is still the same one. */
  readonly identity: string;
  /** `uid:gid` that the engine runs as. */
  readonly user: string;
}

/** `nobody` of Debian and Ubuntu, which both engines' images stand on. */
const nobody = '65534:65534';
const root = '0:0';
const deepest = 4;
const readableByAll = 0o004;
const enterableByAll = 0o005;

export interface ModelsRoot {
  /** The models folder as this process sees it. */
  readonly dir: string;
  /** The same folder as Docker's host names it. */
  readonly dirHost: string;
}

/** @throws CortexError folder_not_found, folder_outside, model_refused */
export async function grantFolder(models: ModelsRoot, record: ModelRecord): Promise<FolderGrant> {
  const refuse = (reason: string) => new CortexError('model_refused', { model: record.served_name, reason });
  if (/\p{Cc}|\\/u.test(record.folder) || record.folder.split('/').some((part) => part === '' || part === '.'))
    throw refuse(`'${record.folder.replace(/\p{Cc}/gu, '?')}' is not the name of a folder`);
  const path = await resolveFolder(models.dir, record.folder);
  if (record.file !== null) {
    const file = await realpath(join(path, record.file)).catch(() => null);
    if (file === null) throw refuse(`${record.file} is not in its folder any more`);
    if (!file.startsWith(path + sep))
      throw refuse(`${record.file} leads out of its folder, and an engine sees only that`);
  }
  try {
    const found = await stat(path);
    return {
      source: join(models.dirHost, relative(await realpath(models.dir), path)),
      identity: `${found.dev}:${found.ino}`,
      user: await userFor(record.engine, path, `${found.uid}:${found.gid}`),
    };
  } catch (error) {
    // It vanished meanwhile, or Cortex may not look into a part of it.
    throw refuse(error instanceof Error ? error.message : String(error));
  }
}

/**
 * Nobody where everyone may read the model; else the folder's owner. vLLM stays root (without any capability) where it
 * can: its image is made to run as root.
 */
async function userFor(engine: ModelRecord['engine'], path: string, owner: string): Promise<string> {
  if (!(await isReadableByAll(path, 0))) return owner;
  return engine === 'vllm' ? root : nobody;
}

async function isReadableByAll(path: string, depth: number): Promise<boolean> {
  const { mode } = await stat(path);
  if ((mode & enterableByAll) !== enterableByAll) return false;
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const below = join(path, entry.name);
    if (entry.isDirectory() && depth < deepest && !(await isReadableByAll(below, depth + 1))) return false;
    if (entry.isFile() && ((await stat(below)).mode & readableByAll) === 0) return false;
  }
  return true;
}
