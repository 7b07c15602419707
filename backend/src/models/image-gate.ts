import { CortexError } from '../../../contract/errors.ts';
import type { ImagePull } from '../../../contract/image-pulls.ts';
import type { OfflinePolicy } from '../../../contract/offline-policy.ts';
import type { Images } from '../../../docker/images.ts';
import { ImagePulls, type PullOptions } from './image-pulls.ts';
import { asksRegistries, decidePull, type ImagePolicy } from './offline-policy.ts';
import { RegistryReach } from './registry-reach.ts';

export interface ImageGateOptions {
  readonly images: Pick<Images, 'inspect' | 'pull' | 'askRegistry'>;
  readonly policy: ImagePolicy;
  /** The package's archive that holds an image. */
  readonly archiveFile: (image: string) => string;
  /** The images of the engines, as configured: their registries are the ones that auto-detection asks. */
  readonly configured: readonly string[];
}

/** The way by which images come: decides whether one that is not here may be pulled, and pulls it. */
export class ImageGate {
  readonly #options: ImageGateOptions;
  readonly #reach: RegistryReach;
  readonly #pulls: ImagePulls;

  constructor(options: ImageGateOptions) {
    this.#options = options;
    this.#reach = new RegistryReach({ images: options.images });
    this.#pulls = new ImagePulls(options.images, options.policy.IMAGE_PULL_TIMEOUT);
  }

  async isCached(image: string): Promise<boolean> {
    return (await this.#options.images.inspect(image)) !== null;
  }

  /**
   * True if it is here, false if it may be pulled.
   * @throws CortexError image_not_available_offline, image_not_precached, docker_unavailable
   */
  async check(image: string): Promise<boolean> {
    const { policy, archiveFile } = this.#options;
    const cached = await this.isCached(image);
    const decision = await decidePull(policy, cached, async () => (await this.#reach.of(image)).answers);
    const file = archiveFile(image);
    switch (decision) {
      case 'use':
        return true;
      case 'pull':
        return false;
      case 'refuse: offline':
        throw new CortexError('image_not_available_offline', { image, file, detected: '' });
      case 'refuse: precache':
        throw new CortexError('image_not_precached', { image, file });
      case 'refuse: detected offline': {
        const { registry, reason } = await this.#reach.of(image);
        const detected = `the registry ${registry} does not answer Docker (${reason ?? 'no reason'}).`;
        throw new CortexError('image_not_available_offline', { image, file, detected });
      }
    }
  }

  /** Makes sure that the image is here. @throws CortexError as `check` and ImagePulls.pull */
  async fetch(image: string, options: PullOptions = {}): Promise<void> {
    if (await this.check(image)) return;
    await this.#pulls.pull(image, options);
  }

  /** What is being pulled. */
  pulls(): ImagePull[] {
    return this.#pulls.list();
  }

  /** False where the image is not being pulled. */
  cancel(image: string): boolean {
    return this.#pulls.cancel(image);
  }

  /** Whether images may be pulled, by what is known now; registries whose answers are stale are asked meanwhile. */
  status(): OfflinePolicy {
    const { policy, configured } = this.#options;
    const answers = asksRegistries(policy) ? configured.map((image) => this.#reach.lastOf(image)) : [];
    const registries = answers.filter((answer) => answer !== null);
    const silent = configured.length > 0 && registries.length === configured.length;
    const detected = silent && registries.every((registry) => !registry.answers);
    return {
      mode: policy.OFFLINE_MODE ? 'on' : detected ? 'detected' : 'off',
      auto_detect: policy.OFFLINE_MODE_AUTO_DETECT,
      require_image_precache: policy.REQUIRE_IMAGE_PRECACHE,
      image_pull_timeout_seconds: policy.IMAGE_PULL_TIMEOUT,
      registries,
    };
  }
}
