import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { newModel } from '../../contract/models.ts';
import { DockerEngine } from '../../docker/engine.ts';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { makeImage, makeLayer, pushImage } from '../fixtures/registry-images.ts';
import { ThrottledRegistry } from '../fixtures/throttled-registry.ts';
import { openChromium } from './chromium.ts';
import { expectFitForAll, openSignedIn } from './signed-in.ts';

const registryOrigin = 'http://127.0.0.1:5055';
const cortex = new EmbeddedCortex();
const registry = new ThrottledRegistry(registryOrigin);
const engine = new DockerEngine();
const mark = randomBytes(4).toString('hex');
const network = `cortex-test-${mark}`;
let account: { username: string; password: string };
let modelId = '';

beforeAll(async () => {
  await registry.listen();
  registry.bytesPerSecond = 50_000;
  const layers = [3_000_000, 2_000_000].map((bytes, index) => makeLayer(`${mark}-${index}`, bytes));
  await pushImage(registryOrigin, `pull-test/${mark}`, 'v1', makeImage(layers));
  await cortex.start({
    LLAMACPP_IMAGE: `127.0.0.1:${registry.port}/pull-test/${mark}:v1`,
    VLLM_IMAGE: '127.0.0.1:59/absent/vllm:v1',
    CORTEX_ENGINE_NETWORK: network,
  });
  account = await cortex.signInForGood();
  await cortex.addTinyModel();
  const body = { name: 'Tiny', served_name: 'tiny', engine: 'llamacpp', folder: 'tiny', file: 'tiny.gguf' } as const;
  modelId = (await cortex.call('createModel', { body: newModel.parse(body) })).model.id;
});
afterAll(async () => {
  await cortex.stop();
  await registry.close();
  await engine.removeNetwork(network);
  await engine.close();
});

it('a pull is seen with its bytes, and ended by its button', async () => {
  const { context, close } = await openChromium();
  try {
    const page = await openSignedIn(context, cortex.ui, account);
    await cortex.call('startModel', { params: { id: modelId } });
    await page.getByText(/of 5\.0 MB · .*kB\/s · .* left/).waitFor({ timeout: 30_000 });
    await expectFitForAll(page, 'image-pull');
    await page.getByRole('link', { name: 'System' }).click();
    await page.getByRole('heading', { name: 'Offline mode' }).waitFor();
    await page.getByText('answers', { exact: true }).waitFor();
    await page.getByText('does not answer').waitFor();
    await expectFitForAll(page, 'system-offline');
    await page.getByRole('button', { name: /^Cancel the pull of/ }).click();
    await page.getByRole('progressbar').waitFor({ state: 'detached', timeout: 15_000 });
    await expect
      .poll(async () => (await cortex.call('getModel', { params: { id: modelId } })).model.reason, {
        timeout: 15_000,
      })
      .toMatch(/^The pull of .* was cancelled\.$/);
    await cortex.call('stopModel', { params: { id: modelId } });
  } finally {
    await close();
  }
});

it('a model that is stopped wants its image no more: the pull ends', async () => {
  await cortex.call('startModel', { params: { id: modelId } });
  const pulls = async () => (await cortex.call('listImagePulls')).pulls.length;
  await expect.poll(pulls, { timeout: 20_000 }).toBe(1);
  await cortex.call('stopModel', { params: { id: modelId } });
  await expect.poll(pulls, { timeout: 10_000 }).toBe(0);
  await expect
    .poll(async () => (await cortex.call('getModel', { params: { id: modelId } })).model.state, { timeout: 15_000 })
    .toBe('stopped');
});
