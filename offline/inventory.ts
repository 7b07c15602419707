import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { DockerEngine } from '../docker/engine.ts';
import { readLoadedBills } from './bill-file.ts';
import type { Inventory } from './delta.ts';
import { sha256OfFile } from './durable-file.ts';

const run = promisify(execFile);

/**
 * What this machine has, for the side that prepares packages: images by their layers, models by their sums, the host's kind
 * and its GPUs. It names no user, no address and no setting.
 */
export async function takeInventory(options: {
  engine: DockerEngine;
  receiptDir: string;
  modelsDir: string;
}): Promise<Inventory> {
  const { engine, receiptDir, modelsDir } = options;
  const { architecture, serverVersion, imageStore } = await engine.info();
  const bills = await readLoadedBills(receiptDir);
  const newest = bills.at(-1) ?? null;
  const layersById = new Map(
    bills.flatMap(({ images }) =>
      images.flatMap((image) => {
        const digests = image.blobs
          .map(({ digest }) => digest)
          .filter((digest) => ![image.config_digest, image.manifest_digest].includes(digest));
        return [image.config_digest, image.manifest_digest].map((id) => [id, digests] as const);
      }),
    ),
  );
  const images: Inventory['images'] = [];
  for (const { id, repoTags } of await engine.images.list()) {
    const details = await engine.images.inspect(id);
    if (details === null || !/^sha256:[0-9a-f]{64}$/.test(details.id)) continue;
    images.push({
      references: repoTags,
      id: details.id,
      diff_ids: details.layers,
      layer_digests: layersById.get(details.id) ?? null,
    });
  }
  return {
    inventory_version: 1,
    created_at: new Date().toISOString(),
    host: {
      architecture,
      engine_version: serverVersion,
      image_store: imageStore,
      memory_bytes: totalmem(),
      gpus: await nvidiaGpus(),
    },
    package:
      newest === null
        ? null
        : { package_id: newest.package_id, sequence: newest.sequence, created_at: newest.created_at },
    images,
    models: await modelSums(
      modelsDir,
      bills.flatMap(({ models }) => models),
    ),
  };
}

/** Sums of what packages brought are known; a file of the same name and size is hashed, so that the list speaks of today. */
async function modelSums(
  modelsDir: string,
  billed: readonly { name: string; files: readonly { path: string }[] }[],
): Promise<Inventory['models']> {
  const models: Inventory['models'] = [];
  for (const name of await readdir(modelsDir).catch((): string[] => [])) {
    const known = billed.filter((model) => model.name === name).flatMap(({ files }) => files.map(({ path }) => path));
    const files: { path: string; sha256: string }[] = [];
    for (const path of new Set(known)) {
      const sha256 = await sha256OfFile(join(modelsDir, name, path)).catch(() => null);
      if (sha256 !== null) files.push({ path, sha256 });
    }
    if (files.length > 0) models.push({ name, files });
  }
  return models;
}

/** The driver's own tool knows; where there is none there is no NVIDIA GPU to speak of. */
async function nvidiaGpus(): Promise<Inventory['host']['gpus']> {
  const query = ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader,nounits'];
  const { stdout } = await run('nvidia-smi', query).catch(() => ({ stdout: '' }));
  return stdout
    .split('\n')
    .map((line) => line.split(', '))
    .flatMap(([name = '', mebibytes = '', driver = '']) =>
      name === '' || !/^\d+$/.test(mebibytes) ? [] : [{ name, memory_bytes: Number(mebibytes) * 1024 * 1024, driver }],
    );
}
