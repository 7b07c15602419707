/** The settings of the guide that decide over pulls. */
export interface ImagePolicy {
  readonly OFFLINE_MODE: boolean;
  readonly OFFLINE_MODE_AUTO_DETECT: boolean;
  readonly REQUIRE_IMAGE_PRECACHE: boolean;
  /** Seconds. */
  readonly IMAGE_PULL_TIMEOUT: number;
}

export type PullDecision = 'use' | 'pull' | 'refuse: offline' | 'refuse: precache' | 'refuse: detected offline';

/** Only then does it matter whether a registry answers; otherwise none is asked, and no packet leaves. */
export const asksRegistries = (policy: ImagePolicy): boolean =>
  !policy.OFFLINE_MODE && !policy.REQUIRE_IMAGE_PRECACHE && policy.OFFLINE_MODE_AUTO_DETECT;

/**
 * What is done about an image, as the guide's settings mean it. One that is there is always used; `registryAnswers` is
 * asked only where the answer decides.
 */
export async function decidePull(
  policy: ImagePolicy,
  cached: boolean,
  registryAnswers: () => Promise<boolean>,
): Promise<PullDecision> {
  if (cached) return 'use';
  if (policy.OFFLINE_MODE) return 'refuse: offline';
  if (policy.REQUIRE_IMAGE_PRECACHE) return 'refuse: precache';
  if (asksRegistries(policy) && !(await registryAnswers())) return 'refuse: detected offline';
  return 'pull';
}
