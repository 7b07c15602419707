import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { newModel } from '../../contract/models.ts';
import { DockerEngine } from '../../docker/engine.ts';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { openChromium } from './chromium.ts';
import { expectFitForAll, openSignedIn } from './signed-in.ts';

const cortex = new EmbeddedCortex();
const engine = new DockerEngine();
const network = `cortex-test-${randomBytes(4).toString('hex')}`;
let account: { username: string; password: string };

beforeAll(async () => {
  await cortex.start({ CORTEX_ENGINE_NETWORK: network });
  account = await cortex.signInForGood();
  await cortex.addTinyModel();
});
afterAll(async () => {
  for (const { id } of (await cortex.call('listModels')).models) await cortex.call('deleteModel', { params: { id } });
  const left = () => engine.containers.list({ labels: [`cortex.network=${network}`], all: true });
  await vi.waitUntil(async () => (await left()).length === 0, { timeout: 30_000, interval: 200 });
  await cortex.stop();
  await engine.removeNetwork(network);
  await engine.close();
});

it('a start that failed shows the line that says why, and is put right with one click', async () => {
  const model = { name: 'Tiny', served_name: 'tiny', engine: 'llamacpp', folder: 'tiny' } as const;
  const options = { cache_type_v: 'q4_0', flash_attention: 'off', context_size: 512 };
  const body = newModel.parse({ ...model, file: 'tiny.gguf', options });
  const { id } = (await cortex.call('createModel', { body })).model;
  await cortex.call('startModel', { params: { id } });
  const { context, close } = await openChromium();
  try {
    const page = await openSignedIn(context, cortex.ui, account);
    await page.goto(`${cortex.ui}/models/${id}`);
    const evidence = page.getByTestId('evidence');
    await evidence.waitFor({ timeout: 60_000 });
    const line = (await evidence.textContent())?.trim() ?? '';
    expect(line).toMatch(/flash/i);
    const log = page.getByRole('log');
    const marked = log.locator('[aria-current]');
    await expect.poll(() => marked.textContent()).toContain(line);
    const [box, row] = [await log.boundingBox(), await marked.boundingBox()];
    expect(row?.y).toBeGreaterThanOrEqual(box?.y ?? 0);
    expect((row?.y ?? 0) + (row?.height ?? 0)).toBeLessThanOrEqual((box?.y ?? 0) + (box?.height ?? 0) + 1);
    await expectFitForAll(page, 'trouble');
    await page.getByRole('button', { name: 'Apply: Turn flash attention on.' }).click();
    await page.getByTestId('model-state').getByText('ready').waitFor({ timeout: 60_000 });
    expect(await page.getByRole('alert').count()).toBe(0);
    const { model: after } = await cortex.call('getModel', { params: { id } });
    expect(after.options).toMatchObject({ flash_attention: 'on', cache_type_v: 'q4_0' });
    expect(after.cause).toBeNull();
  } finally {
    await close();
  }
});
