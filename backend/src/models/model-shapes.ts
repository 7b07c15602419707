import type { NewModel } from '../../../contract/models.ts';
import { shapeOfConfig } from '../engines/memory/config-shape.ts';
import { shapeOfGguf } from '../engines/memory/gguf-shape.ts';
import type { ModelShape } from '../engines/memory/shape.ts';
import { readGgufOf, readSafetensorsOf } from './model-files.ts';

const keptMs = 60_000;
const mostKept = 64;
const longestReadMs = 30_000;

/** The shapes of models from their files. A plan is asked for with each change of an option, so they are kept for a minute. */
export class ModelShapes {
  readonly #root: string;
  readonly #kept = new Map<string, { readonly untilMs: number; readonly shape: Promise<ModelShape | null> }>();

  constructor(root: string) {
    this.#root = root;
  }

  /** Null where the files don't tell it: what is wrong with them is told by the folder's inspection. */
  shapeOf({ folder, file }: Pick<NewModel, 'folder' | 'file'>): Promise<ModelShape | null> {
    const key = JSON.stringify([folder, file]);
    const known = this.#kept.get(key);
    if (known !== undefined && known.untilMs > Date.now()) return known.shape;
    const shape = this.#read(folder, file).catch(() => null);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size >= mostKept && oldest !== undefined) this.#kept.delete(oldest);
    this.#kept.set(key, { untilMs: Date.now() + keptMs, shape });
    return shape;
  }

  async #read(folder: string, file: string | null): Promise<ModelShape | null> {
    const signal = AbortSignal.timeout(longestReadMs);
    return file === null
      ? shapeOfConfig(await readSafetensorsOf(this.#root, folder, signal))
      : shapeOfGguf(await readGgufOf(this.#root, folder, file, signal));
  }
}
