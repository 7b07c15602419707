import { describe, expect, it } from 'vitest';
import { CortexError } from '../../../contract/errors.ts';
import type { PullProgress } from '../../../contract/image-pulls.ts';
import type { EngineMessage } from '../../../docker/stream.ts';
import { ImagePulls } from './image-pulls.ts';

interface Call {
  readonly tell: (message: EngineMessage) => void;
  readonly end: () => void;
  readonly fail: (reason: string) => void;
  readonly signal: AbortSignal;
}

/** An Engine whose pulls end when the test says so. */
function engine() {
  const calls: Call[] = [];
  const pull = (
    _reference: string,
    { onMessage, signal }: { onMessage?: (message: EngineMessage) => void; signal?: AbortSignal } = {},
  ) =>
    new Promise<void>((resolve, reject) => {
      if (signal === undefined) throw new Error('a pull without a limit');
      signal.addEventListener('abort', () => reject(signal.reason));
      const fail = (reason: string) => reject(new CortexError('docker_failed', { action: 'pull x', reason }));
      calls.push({ tell: (message) => onMessage?.(message), end: resolve, fail, signal });
    });
  return { calls, images: { pull } };
}

const image = 'ghcr.io/some/image:v1';

describe('pulling an image', () => {
  it('happens once for all who wait, each of whom hears of the progress', async () => {
    const { calls, images } = engine();
    const pulls = new ImagePulls(images, 60);
    const heard: PullProgress[][] = [[], []];
    const waits = heard.map((list) => pulls.pull(image, { onProgress: (progress) => list.push(progress) }));
    expect(calls).toHaveLength(1);
    calls[0]?.tell({ id: 'a', status: 'Downloading', progressDetail: { current: 5, total: 10 } });
    expect(pulls.list()).toMatchObject([{ image, waiting: 2, done_bytes: 5, total_bytes: 10 }]);
    calls[0]?.end();
    await Promise.all(waits);
    expect(heard.map((list) => list[0]?.done_bytes)).toEqual([5, 5]);
    expect(pulls.list()).toEqual([]);
  });

  it('goes on for the others when one leaves, and ends with the last', async () => {
    const { calls, images } = engine();
    const pulls = new ImagePulls(images, 60);
    const [first, second] = [new AbortController(), new AbortController()];
    const waits = [first, second].map(({ signal }) => pulls.pull(image, { signal }));
    const outcome = Promise.allSettled(waits);
    first.abort();
    await expect(waits[0]).rejects.toMatchObject({ code: 'image_pull_cancelled' });
    expect(calls[0]?.signal.aborted).toBe(false);
    expect(pulls.list()).toMatchObject([{ waiting: 1 }]);
    second.abort();
    await outcome;
    expect(calls[0]?.signal.aborted).toBe(true);
    expect(pulls.list()).toEqual([]);
    const again = pulls.pull(image);
    expect(calls).toHaveLength(2);
    calls[1]?.end();
    await again;
  });

  it('is cancelled for all who wait', async () => {
    const { calls, images } = engine();
    const pulls = new ImagePulls(images, 60);
    const wait = pulls.pull(image);
    expect(pulls.cancel('another/image:v1')).toBe(false);
    expect(pulls.cancel(image)).toBe(true);
    await expect(wait).rejects.toMatchObject({ code: 'image_pull_cancelled' });
    expect(calls[0]?.signal.aborted).toBe(true);
    expect(pulls.cancel(image)).toBe(false);
  });

  it('does not begin for somebody who has left already', async () => {
    const { calls, images } = engine();
    const wait = new ImagePulls(images, 60).pull(image, { signal: AbortSignal.abort() });
    await expect(wait).rejects.toMatchObject({ code: 'image_pull_cancelled' });
    expect(calls).toHaveLength(0);
  });

  it('ends at IMAGE_PULL_TIMEOUT', async () => {
    const { images } = engine();
    await expect(new ImagePulls(images, 0.05).pull(image)).rejects.toMatchObject({ code: 'image_pull_timeout' });
  });

  // As Docker 20.10 and 26.1 say it, the latter on both of its image stores.
  it.each([
    ['write /var/lib/docker/tmp/GetImageBlob1: no space left on device', 'image_pull_no_space'],
    ['failed to register layer: write /usr/lib/x.so: no space left on device', 'image_pull_no_space'],
    [
      "pull access denied for x/y, repository does not exist or may require 'docker login': denied",
      'image_pull_denied',
    ],
    ['Head "https://ghcr.io/v2/x/manifests/v1": unauthorized', 'image_pull_denied'],
    ['unexpected status from HEAD request to http://r/v2/x/manifests/v1: 403 Forbidden', 'image_pull_denied'],
    ['failed to resolve reference "ghcr.io/some/image:v1": ghcr.io/some/image:v1: not found', 'image_not_in_registry'],
    ['manifest unknown: manifest unknown', 'image_not_in_registry'],
    ['manifest for ghcr.io/some/image:v1 not found: manifest unknown: manifest unknown', 'image_not_in_registry'],
    ['Get "https://ghcr.io/v2/": dial tcp: lookup ghcr.io on 10.0.0.2:53: no such host', 'image_pull_unreachable'],
    ['Get "https://ghcr.io/v2/": net/http: TLS handshake timeout', 'image_pull_unreachable'],
    ['no matching manifest for linux/arm64/v8 in the manifest list entries', 'docker_failed'],
  ])('says in words: %s', async (reason, code) => {
    const { calls, images } = engine();
    const wait = new ImagePulls(images, 60).pull(image);
    calls[0]?.fail(reason);
    await expect(wait).rejects.toMatchObject({
      code,
      message: expect.stringContaining(code === 'image_not_in_registry' ? image : reason),
    });
  });
});
