import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CortexError } from '../contract/errors.ts';
import type { DockerEngine } from '../docker/engine.ts';
import { readLoadedBills } from './bill-file.ts';

export interface PrunePlan {
  readonly images: readonly { readonly reference: string; readonly id: string; readonly sizeBytes: number }[];
  /** Bills of the generations that go, by the start of their package's id. */
  readonly forget: readonly string[];
}

/** What only packages older than the newest `keep` brought, and the Engine still has. */
export async function planPrune(engine: DockerEngine, receiptDir: string, keep: number): Promise<PrunePlan> {
  const bills = await readLoadedBills(receiptDir);
  const kept = bills.slice(-keep);
  const gone = bills.slice(0, Math.max(0, bills.length - keep));
  const idsOf = (list: typeof bills) =>
    list.flatMap(({ images }) => images.flatMap((image) => [image.config_digest, image.manifest_digest]));
  const keptIds = new Set(idsOf(kept));
  const images: PrunePlan['images'][number][] = [];
  for (const image of gone.flatMap((bill) => bill.images)) {
    for (const id of [image.config_digest, image.manifest_digest]) {
      if (keptIds.has(id) || images.some((one) => one.id === id)) continue;
      const details = await engine.images.inspect(id);
      if (details !== null) images.push({ reference: image.reference, id, sizeBytes: details.sizeBytes });
    }
  }
  return { images, forget: gone.map(({ package_id }) => package_id) };
}

/** Removes what the plan names; an image that a container uses stays. */
export async function prune(
  engine: DockerEngine,
  receiptDir: string,
  plan: PrunePlan,
): Promise<{ name: string; result: string }[]> {
  const objects: { name: string; result: string }[] = [];
  for (const { reference, id } of plan.images) {
    try {
      const details = await engine.images.inspect(id);
      // By its names first: an image with several names is not removed by its id alone.
      for (const tag of details?.repoTags ?? []) await engine.images.remove(tag);
      await engine.images.remove(id);
      objects.push({ name: reference, result: 'removed' });
    } catch (error) {
      if (!(error instanceof CortexError) || error.code !== 'docker_failed') throw error;
      objects.push({ name: reference, result: 'kept: a container uses it' });
    }
  }
  const dir = join(receiptDir, 'packages');
  for (const name of await readdir(dir).catch((): string[] => []))
    if (plan.forget.some((id) => name.includes(id.slice(0, 16)))) await rm(join(dir, name), { force: true });
  return objects;
}
