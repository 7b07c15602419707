import { randomBytes } from 'node:crypto';
import { CortexError } from '../contract/errors.ts';
import type { DockerEngine, ImageDetails } from '../docker/engine.ts';
import type { BillImage } from './bill.ts';

/** Each store shows another digest as the image's id; the unpacked layers are the same on all. */
export function isBilled(details: ImageDetails | null, image: BillImage): boolean {
  if (details === null) return false;
  const ids: (string | null)[] = [image.config_digest, image.manifest_digest, image.index_digest];
  return (
    // Podman tells ids without their algorithm.
    (ids.includes(details.id) || ids.includes(`sha256:${details.id}`)) &&
    details.layers.length === image.diff_ids.length &&
    details.layers.every((layer, index) => layer === image.diff_ids[index])
  );
}

/** Is it there, is it the one, and can a container be made of it. */
export async function isLoaded(engine: DockerEngine, image: BillImage): Promise<boolean> {
  if (!isBilled(await engine.images.inspect(image.reference), image)) return false;
  return proveUsable(engine, image).then(
    () => true,
    (error: unknown) => {
      if (error instanceof CortexError && error.code === 'docker_failed') return false;
      throw error;
    },
  );
}

/** @throws CortexError image_identity_wrong, docker_failed */
export async function proveLoaded(engine: DockerEngine, image: BillImage): Promise<void> {
  const found = await engine.images.inspect(image.reference);
  if (!isBilled(found, image)) {
    throw new CortexError('image_identity_wrong', {
      image: image.reference,
      expected: image.config_digest,
      found: found?.id ?? 'nothing',
    });
  }
  await proveUsable(engine, image);
}

/** Exit codes and inspect can be fine for a broken image (airgap-field.md 4b); being able to make a container of it is the proof. */
async function proveUsable(engine: DockerEngine, image: BillImage): Promise<void> {
  const name = `cortex-proof-${randomBytes(6).toString('hex')}`;
  const id = await engine.containers.create(name, {
    Image: image.reference,
    Cmd: ['true'],
    Labels: { 'cortex.proof': 'true' },
  });
  await engine.containers.remove(id, { force: true });
}

/**
 * A failed load can leave the tag behind, on the containerd store even with its full size shown. It goes, unless it
 * still names what it named before; a name that counts for loaded must never stand for a broken image.
 */
export async function dropBroken(engine: DockerEngine, image: BillImage, before: ImageDetails | null): Promise<void> {
  try {
    const now = await engine.images.inspect(image.reference);
    if (now !== null && now.id !== before?.id) await engine.images.remove(image.reference, { force: true });
  } catch {
    // The reason why the load failed is what the operator needs; this would hide it.
  }
}
