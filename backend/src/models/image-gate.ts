import { CortexError } from '../../../contract/errors.ts';
import type { DockerEngine } from '../../../docker/engine.ts';

export interface ImagePolicy {
  readonly OFFLINE_MODE: boolean;
  readonly OFFLINE_MODE_AUTO_DETECT: boolean;
  readonly REQUIRE_IMAGE_PRECACHE: boolean;
  /** Seconds. */
  readonly IMAGE_PULL_TIMEOUT: number;
}

/** Decides whether an image that is not here may be fetched, as the guide's settings mean it. */
export class ImageGate {
  readonly #engine: DockerEngine;
  readonly #policy: ImagePolicy;
  readonly #archiveFile: (image: string) => string;

  constructor(engine: DockerEngine, policy: ImagePolicy, archiveFile: (image: string) => string) {
    this.#engine = engine;
    this.#policy = policy;
    this.#archiveFile = archiveFile;
  }

  async isCached(image: string): Promise<boolean> {
    return (await this.#engine.images.inspect(image)) !== null;
  }

  /** True if it is here, false if it may be pulled. @throws CortexError image_not_available_offline, docker_unavailable */
  async check(image: string): Promise<boolean> {
    if (await this.isCached(image)) return true;
    const { OFFLINE_MODE, REQUIRE_IMAGE_PRECACHE, OFFLINE_MODE_AUTO_DETECT } = this.#policy;
    // The registry of this very image, asked through the Engine: a local registry counts as reachable.
    const refused =
      OFFLINE_MODE ||
      REQUIRE_IMAGE_PRECACHE ||
      (OFFLINE_MODE_AUTO_DETECT && !(await this.#engine.images.isInReach(image)));
    if (refused) throw new CortexError('image_not_available_offline', { image, file: this.#archiveFile(image) });
    return false;
  }

  /** Makes sure that the image is here. @throws CortexError image_not_available_offline, docker_failed */
  async fetch(image: string, onProgress: (text: string) => void): Promise<void> {
    if (await this.check(image)) return;
    onProgress(`pulling ${image}`);
    const signal = AbortSignal.timeout(this.#policy.IMAGE_PULL_TIMEOUT * 1000);
    try {
      await this.#engine.images.pull(image, { signal });
    } catch (cause) {
      if (!signal.aborted) throw cause;
      throw new CortexError(
        'docker_failed',
        {
          action: `pull ${image}`,
          reason: `it took longer than IMAGE_PULL_TIMEOUT=${this.#policy.IMAGE_PULL_TIMEOUT} s`,
        },
        { cause },
      );
    }
  }
}
