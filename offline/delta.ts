import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';
import type { PackableImage } from './archive.ts';
import { type Bill, type BlobPlace, billName, parseBill } from './bill.ts';
import { digestPattern } from './image-reference.ts';

const digest = z.string().regex(digestPattern);

/** What a machine inside has: written there by `cortex offline inventory`, read outside by `prepare --base`. */
export const inventory = z.object({
  inventory_version: z.literal(1),
  created_at: z.iso.datetime(),
  host: z.object({
    architecture: z.string().max(64),
    engine_version: z.string().max(64),
    image_store: z.enum(['graphdriver', 'containerd']),
    memory_bytes: z.number().int(),
    gpus: z
      .array(z.object({ name: z.string().max(256), memory_bytes: z.number().int(), driver: z.string().max(64) }))
      .max(256),
  }),
  /** The newest package that was loaded. */
  package: z.object({ package_id: z.string(), sequence: z.number().int(), created_at: z.iso.datetime() }).nullable(),
  images: z
    .array(
      z.object({
        references: z.array(z.string().max(512)).max(1000),
        id: digest,
        diff_ids: z.array(digest).max(1000),
        /** The layers as registries have them, where the package that brought the image is known. */
        layer_digests: z.array(digest).max(1000).nullable(),
      }),
    )
    .max(100_000),
  models: z
    .array(
      z.object({
        name: z.string().max(512),
        files: z.array(z.object({ path: z.string().max(512), sha256: z.string() })).max(10_000),
      }),
    )
    .max(10_000),
});
export type Inventory = z.infer<typeof inventory>;

/** What need not travel, because the other side has it. */
export interface Base {
  readonly named: { readonly kind: 'package' | 'inventory'; readonly id: string; readonly created_at: string };
  /** Chains of unpacked layers that are there: an Engine can only use a layer on top of the ones that were below it. */
  readonly chains: ReadonlySet<string>;
  /** Layers as registries have them; null means that any compression will do (the graphdriver store keeps them unpacked). */
  readonly layers: ReadonlySet<string> | null;
  readonly modelFiles: ReadonlySet<string>;
}

export const chainKey = (diffIds: readonly string[], length: number): string => diffIds.slice(0, length).join(' ');

/** A package's folder or manifest.json, or an inventory. @throws CortexError base_invalid */
export async function readBase(path: string): Promise<Base> {
  const file = (await stat(path).catch(() => null))?.isDirectory() ? join(path, billName) : path;
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new CortexError('base_invalid', { file, reason: 'it is not there' }, { cause });
  });
  const asInventory = inventory.safeParse(parseJson(bytes));
  if (asInventory.success) return fromInventory(asInventory.data);
  try {
    return fromBill(parseBill(bytes, file));
  } catch (cause) {
    const reason = 'it is neither the manifest.json of a package nor an inventory';
    throw new CortexError('base_invalid', { file, reason }, { cause });
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
}

function fromBill(bill: Bill): Base {
  return {
    named: { kind: 'package', id: bill.package_id, created_at: bill.created_at },
    chains: chainsOf(bill.images.map(({ diff_ids }) => diff_ids)),
    layers: new Set(bill.images.flatMap(({ blobs }) => blobs.map(({ digest: found }) => found))),
    modelFiles: new Set(bill.models.flatMap(({ files }) => files.map(({ sha256 }) => sha256))),
  };
}

function fromInventory(value: Inventory): Base {
  const layers = value.images.flatMap(({ layer_digests }) => layer_digests ?? []);
  return {
    named: { kind: 'inventory', id: value.package?.package_id ?? 'none', created_at: value.created_at },
    chains: chainsOf(value.images.map(({ diff_ids }) => diff_ids)),
    // airgap-field.md 5d: equal unpacked layers of another compression are of no use to the containerd store.
    layers: value.host.image_store === 'containerd' ? new Set(layers) : null,
    modelFiles: new Set(value.models.flatMap(({ files }) => files.map(({ sha256 }) => sha256))),
  };
}

const chainsOf = (images: readonly (readonly string[])[]) =>
  new Set(images.flatMap((diffIds) => diffIds.map((_, index) => chainKey(diffIds, index + 1))));

/** The layers of an image that need not travel. */
export function layersInBase(image: PackableImage, base: Base): Map<string, null> {
  const found = new Map<string, null>();
  for (const [index, { digest: layer }] of image.layers.entries()) {
    const isThere = base.chains.has(chainKey(image.diffIds, index + 1)) && (base.layers?.has(layer) ?? true);
    if (isThere) found.set(layer, null);
    // The same layer once more on top of something new has to travel.
    else for (const later of image.layers.slice(index)) found.delete(later.digest);
    if (!isThere && base.layers === null) break;
  }
  return found;
}

/** The layers that another archive of the same package has already. */
export function layersInPackage(image: PackableImage, packed: ReadonlyMap<string, BlobPlace>): Map<string, BlobPlace> {
  return new Map(
    image.layers.flatMap(({ digest: layer }) => {
      const place = packed.get(layer);
      return place === undefined ? [] : [[layer, place] as const];
    }),
  );
}
