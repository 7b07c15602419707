import { lstat, mkdir, realpath, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { CortexError } from '../../../contract/errors.ts';
import { syncFolder } from '../../../offline/durable-file.ts';

interface StagedFile {
  readonly path: string;
  readonly sizeBytes: number;
}

/** Where downloads grow: inside the models folder, so that a rename brings them to their place, and hidden from its scan. */
export class Staging {
  readonly #root: string;

  constructor(modelsDir: string) {
    this.#root = modelsDir;
  }

  folderOf(id: string): string {
    return join(this.#root, '.cortex-downloads', id);
  }

  async freeBytes(): Promise<number> {
    await mkdir(this.#root, { recursive: true });
    const { bavail, bsize } = await statfs(this.#root);
    return bavail * bsize;
  }

  /** How much of a file is there, whole or partial. */
  async doneBytes(id: string, { path, sizeBytes }: StagedFile): Promise<number> {
    const name = join(this.folderOf(id), path);
    const found = (await stat(name).catch(() => null)) ?? (await stat(`${name}.partial`).catch(() => null));
    return Math.min(sizeBytes, found?.size ?? 0);
  }

  /** A file gets its name only when its hash was right. */
  async isWhole(id: string, { path, sizeBytes }: StagedFile): Promise<boolean> {
    const found = await lstat(join(this.folderOf(id), path)).catch(() => null);
    return found?.isFile() === true && found.size === sizeBytes;
  }

  /** @throws CortexError conflict where the folder is there already, or leads out of the models folder */
  async checkPlace(folder: string): Promise<void> {
    const target = join(this.#root, folder);
    if ((await lstat(target).catch(() => null)) !== null)
      throw new CortexError('conflict', { detail: `There is a folder '${folder}' already.` }, { param: 'folder' });
    await mkdir(this.#root, { recursive: true });
    const root = await realpath(this.#root);
    for (let above = dirname(target); above.length > this.#root.length; above = dirname(above)) {
      const real = await realpath(above).catch(() => null);
      if (real !== null && !`${real}${sep}`.startsWith(`${root}${sep}`))
        throw new CortexError('folder_outside', { folder, root: this.#root });
    }
  }

  /** The last step: the whole folder appears at once. @throws CortexError conflict, folder_outside */
  async publish(id: string, folder: string): Promise<void> {
    await this.checkPlace(folder);
    const target = join(this.#root, folder);
    await mkdir(dirname(target), { recursive: true });
    await rename(this.folderOf(id), target);
    await syncFolder(dirname(target));
  }

  async remove(id: string): Promise<void> {
    await rm(this.folderOf(id), { recursive: true, force: true });
  }
}
