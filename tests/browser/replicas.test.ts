import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
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
let id = '';

beforeAll(async () => {
  await cortex.start({ CORTEX_ENGINE_NETWORK: network });
  account = await cortex.signInForGood();
  await cortex.addTinyModel();
  const model = { name: 'Tiny', served_name: 'tiny', engine: 'llamacpp', folder: 'tiny', file: 'tiny.gguf' } as const;
  id = (await cortex.call('createModel', { body: newModel.parse({ ...model, replicas: 2 }) })).model.id;
  await cortex.call('startModel', { params: { id } });
});
afterAll(async () => {
  await cortex.call('deleteModel', { params: { id } });
  const left = () => engine.containers.list({ labels: [`cortex.network=${network}`], all: true });
  await vi.waitUntil(async () => (await left()).length === 0, { timeout: 30_000, interval: 200 });
  await cortex.stop();
  await engine.removeNetwork(network);
  await engine.close();
});

it('each replica of a model is seen, what it lacks, and its log', async () => {
  const { context, close } = await openChromium();
  try {
    const page = await openSignedIn(context, cortex.ui, account);
    await page.getByRole('link', { name: 'Tiny' }).first().click();
    const rows = page.getByTestId('replicas').getByRole('listitem');
    await expect
      .poll(async () => (await rows.allInnerTexts()).map((row) => row.includes('ready')), { timeout: 60_000 })
      .toEqual([true, true]);
    const log = page.getByRole('log');
    await log.getByText(/server is listening on/).waitFor();
    await page.getByLabel('Search the log').fill('listening');
    await page.getByText(/^\d+ of \d+ lines$/).waitFor();
    expect(await log.getByText(/listening/).count()).toBe(await log.locator('div').count());
    await page.getByLabel('Search the log').fill('no such words');
    await page.getByText('No line matches.').waitFor();
    await page.getByLabel('Search the log').fill('');
    const coming = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Download' }).click();
    const file = await readFile(await (await coming).path(), 'utf8');
    expect(file).toContain('server is listening');
    const second = await engine.containers.inspect(`cortex-model-${id}-1`);
    await engine.containers.remove(second?.id ?? '', { force: true });
    await page.getByTestId('model-state').getByText('1 of 2 replicas serve').waitFor();
    await expect.poll(() => page.getByRole('alert').count()).toBe(0);
    await expectFitForAll(page, 'replicas');
    await log.scrollIntoViewIfNeeded();
    await page.screenshot({ path: join(import.meta.dirname, `../artifacts/ui/engine-log.png`) });
    await expect
      .poll(async () => (await rows.allInnerTexts()).map((row) => row.includes('ready')), { timeout: 60_000 })
      .toEqual([true, true]);
  } finally {
    await close();
  }
});
