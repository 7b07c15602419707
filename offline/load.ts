import { statfs } from 'node:fs/promises';
import { CortexError } from '../contract/errors.ts';
import type { DockerEngine } from '../docker/engine.ts';
import type { Bill, BillImage } from './bill.ts';
import { keepLoadedBill } from './bill-file.ts';
import { chainKey } from './delta.ts';
import { EngineLoopback, LoopbackUnreachable } from './engine-loopback.ts';
import { streamImage } from './engine-stream.ts';
import type { Report } from './events.ts';
import { dropBroken, isLoaded, proveLoaded } from './image-proof.ts';
import { inParallel } from './in-parallel.ts';
import type { PackageReader } from './package-reader.ts';
import { placeModel } from './place-models.ts';

export interface LoadOptions {
  readonly reader: PackageReader;
  /** Where the bill of what was loaded is kept, for readiness. */
  readonly receiptDir: string;
  readonly engine: DockerEngine;
  /** Null: models are left where they are. */
  readonly modelsDir: string | null;
  /** `auto` pulls over loopback where the Engine can, and streams otherwise. */
  readonly method?: 'auto' | 'loopback' | 'stream';
  readonly report: Report;
  readonly signal?: AbortSignal | undefined;
}

export interface LoadResult {
  readonly loaded: number;
  readonly objects: readonly { readonly name: string; readonly result: string }[];
  readonly failures: readonly { readonly file: string; readonly error: CortexError }[];
}

const imagesAtOnce = 2;
// The Engine tells the kernel's word for the processor, images use Go's.
const architectures: Readonly<Record<string, string>> = { x86_64: 'amd64', aarch64: 'arm64' };

/**
 * Loads every image of a package that the Engine does not have yet, and places its models. Nothing of the package is offered
 * before the sum of its chunk was checked; an image counts as loaded when its identity is the bill's and a container can be
 * made of it. One bad archive does not hold up the others. The same command goes on where an interrupted one stopped.
 */
export async function loadPackage(options: LoadOptions): Promise<LoadResult> {
  const { reader, engine, report, signal } = options;
  const { bill } = reader;
  const { architecture, imageStore, dockerRootDir } = await engine.info();
  const platform = `linux/${architectures[architecture] ?? architecture}`;
  report({ kind: 'started', work: 'load', dir: reader.media.map(({ dir }) => dir).join(', ') });
  const objects: { name: string; result: string }[] = [];
  const failures: { file: string; error: CortexError }[] = [];
  const attempt = async (file: string, sizeBytes: number, work: () => Promise<'new' | 'present'>) => {
    if (signal?.aborted) throw new CortexError('interrupted', {});
    report({ kind: 'file-started', file, sizeBytes });
    try {
      const note = await work();
      objects.push({ name: file, result: note === 'new' ? 'loaded' : 'present' });
      report({ kind: 'file-done', file, sizeBytes, note });
    } catch (error) {
      if (!(error instanceof CortexError) || error.code === 'interrupted' || error.code === 'docker_unavailable')
        throw error;
      const { code, message, hint } = error;
      failures.push({ file, error });
      objects.push({ name: file, result: code });
      report({ kind: 'file-failed', file, sizeBytes, code, message, hint });
    }
  };

  const images = imagesFor(bill, platform);
  const missing = new Set<BillImage>();
  for (const image of images) if (!(await isLoaded(engine, image))) missing.add(image);
  const missingBytes = [...missing].reduce((total, image) => total + image.sizeBytes, 0);
  const modelBytes = bill.models.flatMap(({ files }) => files).reduce((total, file) => total + file.sizeBytes, 0);
  const totalBytes =
    images.reduce((total, image) => total + image.sizeBytes, 0) + (options.modelsDir === null ? 0 : modelBytes);
  report({
    kind: 'planned',
    totalBytes,
    presentBytes: totalBytes - missingBytes - (options.modelsDir === null ? 0 : modelBytes),
  });
  await checkSpace(dockerRootDir, missingBytes);

  const loader = await ImageLoader.start(options, imageStore);
  try {
    await inParallel(images, imagesAtOnce, (image) =>
      attempt(image.file, image.sizeBytes, async () => {
        if (!missing.has(image)) return 'present';
        await loader.load(image);
        return 'new';
      }),
    );
  } finally {
    await loader.close();
  }
  const { modelsDir } = options;
  if (modelsDir !== null) {
    for (const model of bill.models) {
      const sizeBytes = model.files.reduce((total, file) => total + file.sizeBytes, 0);
      await attempt(`models/${model.name}`, sizeBytes, () => placeModel(model, { reader, modelsDir, report, signal }));
    }
  }
  // The receipt says what is there: with a failure the one before stays.
  if (failures.length === 0) await keepLoadedBill(options.receiptDir, bill);
  const loaded = objects.length - failures.length;
  report({ kind: 'finished', work: 'load', succeeded: loaded, failed: failures.length, totalBytes });
  return { loaded, objects, failures };
}

/** The images for this machine. @throws CortexError platform_missing where the package is for another kind */
export function imagesFor(bill: Bill, platform: string): BillImage[] {
  const images = bill.images.filter((image) => image.platform === platform);
  const first = bill.images[0];
  if (images.length > 0 || first === undefined) return images;
  throw new CortexError('platform_missing', { image: first.reference, platform, available: bill.platforms.join(', ') });
}

/** The Engine's disk needs at least the packed bytes; without them the load can't end well, so it does not begin. */
async function checkSpace(dockerRootDir: string, neededBytes: number): Promise<void> {
  // Inside a container the Engine's folder is not to be seen; then the Engine itself says when its disk is full.
  const found = await statfs(dockerRootDir).catch(() => null);
  if (found === null) return;
  const freeBytes = found.bavail * found.bsize;
  if (neededBytes > freeBytes) throw new CortexError('disk_full', { path: dockerRootDir, neededBytes, freeBytes });
}

/** Chooses the way for each image, and undoes what went wrong. */
class ImageLoader {
  readonly #options: LoadOptions;
  #loopback: EngineLoopback | null;

  private constructor(options: LoadOptions, loopback: EngineLoopback | null) {
    this.#options = options;
    this.#loopback = loopback;
  }

  static async start(options: LoadOptions, imageStore: 'graphdriver' | 'containerd'): Promise<ImageLoader> {
    const { reader, engine, report, method = 'auto' } = options;
    if (method === 'stream' || (method === 'auto' && !(await isNear(engine)))) return new ImageLoader(options, null);
    const onBytes = (image: BillImage, bytes: number) => report({ kind: 'bytes', file: image.file, bytes });
    const loopback = new EngineLoopback({ reader, engine, imageStore, onBytes });
    await loopback.start();
    return new ImageLoader(options, loopback);
  }

  close(): Promise<void> {
    return this.#loopback?.close() ?? Promise.resolve();
  }

  async load(image: BillImage): Promise<void> {
    const { engine, signal } = this.#options;
    const before = await engine.images.inspect(image.reference);
    try {
      await this.#bring(image);
      await proveLoaded(engine, image);
    } catch (error) {
      await dropBroken(engine, image, before);
      if (signal?.aborted) throw new CortexError('interrupted', {}, { cause: error });
      throw error;
    }
  }

  async #bring(image: BillImage): Promise<void> {
    const { reader, engine, report, signal, method = 'auto' } = this.#options;
    const isWhole = image.blobs.length > 0 && image.blobs.every(({ file }) => file !== null);
    if (!isWhole && image.blobs.length > 0) await this.#checkBase(image);
    if (isWhole && this.#loopback !== null) {
      try {
        return await this.#loopback.pull(image, signal);
      } catch (error) {
        if (!(error instanceof LoopbackUnreachable) || method === 'loopback') throw error;
        report({
          kind: 'warning',
          message: "The Engine can't pull from this process; images are streamed into it instead.",
        });
        await this.#loopback.close();
        this.#loopback = null;
      }
    }
    const onBytes = (bytes: number) => report({ kind: 'bytes', file: image.file, bytes });
    await streamImage(image, { reader, engine, onBytes, signal });
  }

  /** @throws CortexError base_missing with the layers that neither the package nor this machine has */
  async #checkBase(image: BillImage): Promise<void> {
    const { reader, engine } = this.#options;
    const known = await enginesChains(engine);
    const lacking = image.diff_ids.filter((_, index) => {
      const blob = image.blobs.filter(
        ({ digest }) => digest !== image.config_digest && digest !== image.manifest_digest,
      )[index];
      return blob?.file === null && !known.has(chainKey(image.diff_ids, index + 1));
    });
    if (lacking.length === 0) return;
    const { base } = reader.bill;
    const named = `the ${base?.kind ?? 'package'} ${base?.id.slice(0, 12) ?? ''} of ${base?.created_at ?? ''}`;
    throw new CortexError('base_missing', { base: named, lacking: `${lacking.length} layers of ${image.reference}` });
  }
}

/** An Engine behind a socket of this machine reaches our loopback; Podman refuses plain HTTP there. */
async function isNear(engine: DockerEngine): Promise<boolean> {
  const isLocal = /^(unix:|tcp:\/\/(127\.|localhost))/.test(engine.address);
  return isLocal && !(await engine.version()).isPodman;
}

/** Chains of unpacked layers that the Engine has. */
async function enginesChains(engine: DockerEngine): Promise<ReadonlySet<string>> {
  const chains = new Set<string>();
  for (const { id } of await engine.images.list()) {
    const { layers = [] } = (await engine.images.inspect(id)) ?? {};
    for (let length = 1; length <= layers.length; length += 1) chains.add(chainKey(layers, length));
  }
  return chains;
}
