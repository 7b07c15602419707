import { randomBytes } from 'node:crypto';
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
  id = (await cortex.call('createModel', { body: newModel.parse(model) })).model.id;
  await cortex.call('startModel', { params: { id } });
  const state = async () => (await cortex.call('getModel', { params: { id } })).model.state;
  await vi.waitUntil(async () => (await state()) === 'ready', { timeout: 60_000, interval: 200 });
});
afterAll(async () => {
  await cortex.call('deleteModel', { params: { id } });
  const left = () => engine.containers.list({ labels: [`cortex.network=${network}`], all: true });
  await vi.waitUntil(async () => (await left()).length === 0, { timeout: 30_000, interval: 200 });
  await cortex.stop();
  await engine.removeNetwork(network);
  await engine.close();
});

it('a model is checked with one click, measured, watched, compared and cleared away', async () => {
  const { context, close } = await openChromium();
  try {
    const broken: string[] = [];
    context.on('weberror', (error) => broken.push(error.error().message));
    const page = await openSignedIn(context, cortex.ui, account);
    await page.getByRole('link', { name: 'Tiny' }).first().click();

    await page.getByRole('button', { name: 'Check', exact: true }).click();
    const check = page.getByTestId('check');
    await check.getByText('answered', { exact: true }).waitFor({ timeout: 60_000 });
    expect(await check.textContent()).toMatch(/first token after .* tokens\/s/);
    await check.scrollIntoViewIfNeeded();
    await expectFitForAll(page, 'model-check');

    await page.getByRole('link', { name: 'Benchmark', exact: true }).click();
    await page.getByText('Nothing measured yet').waitFor();
    await page.getByRole('navigation', { name: 'Breadcrumb' }).getByText('Benchmark').waitFor();
    await page.getByLabel('Requests at once').fill('4, 2');
    await page.getByText('Each larger than the last').waitFor();
    expect(await page.getByRole('button', { name: 'Start benchmark' }).isDisabled()).toBe(true);
    await expectFitForAll(page, 'benchmark-empty');

    const measure = async (concurrency: string, seconds: string) => {
      await page.getByLabel('Requests at once').fill(concurrency);
      await page.getByRole('textbox', { name: 'Prompt tokens' }).fill('40');
      await page.getByRole('textbox', { name: 'Output tokens' }).fill('6');
      await page.getByLabel('Seconds a step').fill(seconds);
      const before = page.url();
      await page.getByRole('button', { name: 'Start benchmark' }).click();
      // From then on what the page tells is of this run.
      await page.waitForURL((url) => url.search.includes('run=') && url.href !== before);
    };
    const state = page.getByTestId('benchmark-state');
    await measure('1, 2, 4', '2');
    await state.getByText(/step \d of 3: \d at once/).waitFor({ timeout: 60_000 });
    await page.getByText('One is under way.').waitFor();
    await expectFitForAll(page, 'benchmark-running');
    await state.getByText('done').waitFor({ timeout: 90_000 });
    await page.getByRole('img', { name: /^Output tokens per second, 1 at once to 4 at once: / }).waitFor();
    expect(await page.getByRole('table', { name: 'Figures of each step' }).locator('tbody tr').count()).toBe(3);
    await page.getByRole('region', { name: /^Time to first token/ }).press('ArrowLeft');
    await page.getByText('4 at once', { exact: true }).waitFor();
    await expectFitForAll(page, 'benchmark-done');

    await measure('2, 4', '1');
    await state.getByText('done').waitFor({ timeout: 90_000 });
    const choose = page.getByLabel('Compare with');
    await choose.selectOption({ index: 1 });
    expect(page.url()).toMatch(/run=bmk_\w+&with=bmk_\w+/);
    await page.reload();
    const both = page.getByRole('table', { name: 'Both runs, step by step' });
    await expect.poll(() => both.locator('tbody tr').count()).toBe(2);
    await page.getByRole('table', { name: 'In what they differ' }).getByText('2, 4', { exact: true }).waitFor();
    await expectFitForAll(page, 'benchmark-compared');
    // A point for each step of both runs, and no other.
    const chart = page.getByRole('img', { name: /^Output tokens per second/ });
    expect(await chart.locator('circle').count()).toBe(5);
    for (const width of [1440, 390]) {
      await page.setViewportSize({ width, height: 900 });
      const path = join(import.meta.dirname, `../artifacts/ui/benchmark-whole-${width}.png`);
      await page.screenshot({ path, fullPage: true });
    }
    await page.setViewportSize({ width: 1440, height: 900 });

    await measure('1', '120');
    await state.getByText(/step 1 of 1/).waitFor({ timeout: 60_000 });
    await page.getByRole('button', { name: 'Cancel' }).click();
    await state.getByText('cancelled').waitFor();
    await page.getByRole('textbox', { name: 'Prompt tokens' }).fill('30000');
    await page.getByRole('button', { name: 'Start benchmark' }).click();
    await page.getByRole('alert').getByText('exceeds the available context size').waitFor({ timeout: 60_000 });
    await expectFitForAll(page, 'benchmark-failed');

    const rows = page.getByRole('table', { name: 'All runs' }).locator('tbody tr');
    for (let left = await rows.count(); left > 0; left -= 1) {
      await rows
        .first()
        .getByRole('link', { name: /^Delete/ })
        .click();
      await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await expect.poll(() => rows.count()).toBe(left - 1);
    }
    await page.getByText('Nothing measured yet').waitFor();
    expect(broken).toEqual([]);
  } finally {
    await close();
    const { benchmarks } = await cortex.call('listBenchmarks', { params: { id } });
    for (const one of benchmarks) await cortex.call('deleteBenchmark', { params: { id: one.id } });
  }
}, 300_000);
