import { describe, expect, it } from 'vitest';
import { CortexError } from '../../../contract/errors.ts';
import { ImageGate } from './image-gate.ts';
import { RegistryReach } from './registry-reach.ts';

const image = 'ghcr.io/some/image:v1';

describe('asking a registry', () => {
  it('happens once for many who ask, and its answer is kept briefly', async () => {
    let asked = 0;
    let nowMs = 0;
    const askRegistry = () => {
      asked += 1;
      return Promise.resolve({ answers: true, reason: null });
    };
    const reach = new RegistryReach({ images: { askRegistry }, now: () => nowMs });
    const answers = await Promise.all([1, 2, 3].map(() => reach.of(image)));
    expect(answers[0]).toMatchObject({ registry: 'ghcr.io', image, answers: true, reason: null });
    await reach.of(image);
    expect(asked).toBe(1);
    nowMs = 60_000;
    // The last answer is given at once, and a fresh one is fetched meanwhile.
    expect(reach.lastOf(image)?.asked_at).toBe('1970-01-01T00:00:00.000Z');
    await expect.poll(() => reach.lastOf(image)?.asked_at).toBe('1970-01-01T00:01:00.000Z');
    expect(asked).toBe(2);
  });

  it('ends within its limit where nothing comes back', async () => {
    const askRegistry = (_: string, signal?: AbortSignal) =>
      new Promise<never>((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
    const reach = new RegistryReach({ images: { askRegistry }, limitMs: 50 });
    const { answers, reason } = await reach.of(image);
    expect(answers).toBe(false);
    expect(reason).toBe('no answer within 0.05 s');
  });
});

const policy = {
  OFFLINE_MODE: false,
  OFFLINE_MODE_AUTO_DETECT: true,
  REQUIRE_IMAGE_PRECACHE: false,
  IMAGE_PULL_TIMEOUT: 600,
};

function gateOf(change: Partial<typeof policy>, silent: readonly string[]) {
  const asked: string[] = [];
  const gate = new ImageGate({
    images: {
      inspect: () => Promise.resolve(null),
      pull: () => Promise.reject(new Error('not here')),
      askRegistry: (reference) => {
        asked.push(reference);
        const isSilent = silent.includes(reference);
        return Promise.resolve({ answers: !isSilent, reason: isSilent ? 'no such host' : null });
      },
    },
    policy: { ...policy, ...change },
    archiveFile: () => 'vllm-openai-v0.6.3.tar',
    configured: ['vllm/vllm-openai:v0.6.3', image],
  });
  return { gate, asked };
}

describe('the offline state', () => {
  it('is detected where no registry of a configured image answers, and told with each answer', async () => {
    const { gate } = gateOf({}, ['vllm/vllm-openai:v0.6.3', image]);
    expect(gate.status().mode).toBe('off');
    await expect.poll(() => gate.status().mode).toBe('detected');
    expect(gate.status().registries).toMatchObject([
      { registry: 'docker.io', answers: false, reason: 'no such host' },
      { registry: 'ghcr.io', answers: false },
    ]);
  });

  it('is not detected while one of them answers; an image of the silent one is refused all the same', async () => {
    const { gate } = gateOf({}, ['vllm/vllm-openai:v0.6.3']);
    gate.status();
    await expect.poll(() => gate.status().registries).toHaveLength(2);
    expect(gate.status().mode).toBe('off');
    expect(await gate.check(image)).toBe(false);
    await expect(gate.check('vllm/vllm-openai:v0.6.3')).rejects.toMatchObject({
      code: 'image_not_available_offline',
      message:
        "Docker image 'vllm/vllm-openai:v0.6.3' is not available locally. System is in OFFLINE MODE - cannot download from internet. OFFLINE_MODE_AUTO_DETECT found it so: the registry docker.io does not answer Docker (no such host).",
      hint: expect.stringContaining('vllm-openai-v0.6.3.tar'),
    });
  });

  it.each([
    [{ OFFLINE_MODE: true }, 'on'],
    [{ REQUIRE_IMAGE_PRECACHE: true }, 'off'],
    [{ OFFLINE_MODE_AUTO_DETECT: false }, 'off'],
  ])('with %o no registry is asked', async (change, mode) => {
    const { gate, asked } = gateOf(change, []);
    expect(gate.status()).toMatchObject({ mode, registries: [] });
    await gate.check(image).catch(() => undefined);
    expect(asked).toEqual([]);
  });

  it('is not detected where no Docker answers: nothing is known then', async () => {
    const absent = new CortexError('docker_unavailable', { address: 'unix:///x', reason: 'there is no such socket' });
    const fail = () => Promise.reject(absent);
    const gate = new ImageGate({
      images: { inspect: fail, pull: fail, askRegistry: fail },
      policy,
      archiveFile: () => 'x.tar',
      configured: [image],
    });
    gate.status();
    await new Promise(setImmediate);
    expect(gate.status()).toMatchObject({ mode: 'off', registries: [] });
    await expect(gate.check(image)).rejects.toBe(absent);
  });

  it("refuses in the guide's words, with the archive that holds the image", async () => {
    const { gate } = gateOf({ OFFLINE_MODE: true }, []);
    await expect(gate.check('vllm/vllm-openai:v0.6.3')).rejects.toMatchObject({
      message:
        "Docker image 'vllm/vllm-openai:v0.6.3' is not available locally. System is in OFFLINE MODE - cannot download from internet.",
      hint: expect.stringContaining('docker load -i cortex-offline-images/vllm-openai-v0.6.3.tar'),
    });
  });
});
