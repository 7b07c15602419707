import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newModel } from '../../contract/models.ts';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { openChromium } from './chromium.ts';
import { expectFitForAll, findBarriers, openSignedIn } from './signed-in.ts';

const cortex = new EmbeddedCortex();
const names = ['Llama', 'Qwen', 'Gemma', 'Phi', 'Mistral', 'Granite'];
let account: { username: string; password: string };

beforeAll(async () => {
  await cortex.start({ DOCKER_HOST: 'unix:///nonexistent/docker.sock', OFFLINE_MODE: 'true' });
  account = await cortex.signInForGood();
  await cortex.addTinyModel();
  for (const name of names) {
    const files = { engine: 'llamacpp', folder: 'tiny', file: 'tiny.gguf' };
    await cortex.call('createModel', { body: newModel.parse({ name, served_name: name.toLowerCase(), ...files }) });
  }
  await cortex.call('createKey', { body: { name: 'support-bot' } });
});
afterAll(() => cortex.stop());

/** A signed-in page at a path, closed again whatever happens. */
async function at(
  path: string,
  options: Parameters<typeof openChromium>[0],
  act: (page: Page) => Promise<void>,
): Promise<void> {
  const { context, close } = await openChromium(options);
  try {
    const page = await openSignedIn(context, cortex.ui + path, account);
    await act(page);
  } finally {
    await close();
  }
}

const results = (page: Page) => page.getByRole('option');

describe('the commands', () => {
  it('are at Ctrl-K and can be used by everyone', async () => {
    await at('/usage', {}, async (page) => {
      await page.getByText('No request yet').waitFor();
      await page.keyboard.press('Control+k');
      await results(page).filter({ hasText: 'Granite' }).waitFor();
      await expectFitForAll(page, 'palette');
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await page.getByRole('button', { name: 'Search and commands' }).click();
      await page.keyboard.type('nothing that there is');
      await page.getByText('Nothing is called').waitFor();
      expect(await findBarriers(page)).toEqual([]);
    });
  });

  it.each([
    ['a page', 'rout', '**/routing'],
    ['a model', 'qwen', /\/models\/mdl_/],
    ['a key', 'support', /\/keys\?find=ctx_/],
    ['an action', 'new api key', '**/keys?add=key'],
  ] as const)('lead to %s by a few letters', async (_, letters, address) => {
    await at('/usage', {}, async (page) => {
      await page.getByText('No request yet').waitFor();
      await page.keyboard.press('Control+k');
      await page.getByRole('dialog').getByRole('combobox').fill(letters);
      await expect.poll(() => results(page).count()).toBeGreaterThan(0);
      await page.keyboard.press('Enter');
      await page.waitForURL(address);
    });
  });

  it("start a model; what is refused stands on the model's page", async () => {
    await at('/usage', {}, async (page) => {
      await page.getByText('No request yet').waitFor();
      await page.keyboard.press('Control+k');
      await page.getByRole('dialog').getByRole('combobox').fill('start phi');
      await results(page).filter({ hasText: 'Start Phi' }).waitFor();
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Phi' }).waitFor();
      await page
        .getByRole('alert')
        .getByText(/Docker/)
        .first()
        .waitFor();
    });
  });
});

describe('the rail', () => {
  it('folds to icons, keeps its names, and stays folded', async () => {
    await at('/models', {}, async (page) => {
      const rail = page.getByRole('navigation', { name: 'Main' });
      const width = async () => (await rail.boundingBox())?.width ?? 0;
      await rail.getByText('Playground').waitFor();
      expect(await width()).toBeGreaterThan(200);
      await page.getByRole('button', { name: 'Fold the rail' }).click();
      expect(await width()).toBeLessThan(60);
      await page.reload();
      await rail.getByRole('link', { name: 'Playground' }).waitFor();
      expect(await width()).toBeLessThan(60);
      await expectFitForAll(page, 'rail-folded');
      await rail.getByRole('link', { name: 'API keys' }).click();
      await page.waitForURL('**/keys');
      await page.getByRole('button', { name: 'Unfold the rail' }).click();
      expect(await width()).toBeGreaterThan(200);
    });
  });

  it('is a drawer on narrow screens, which gives the focus back', async () => {
    await at('/models', { viewport: { width: 390, height: 800 } }, async (page) => {
      await page.getByText('Granite').first().waitFor();
      expect(await page.getByRole('navigation', { name: 'Main' }).count()).toBe(0);
      await page.getByRole('button', { name: 'Menu' }).click();
      const drawer = page.getByRole('dialog', { name: 'Menu' });
      await drawer.getByRole('link', { name: 'Usage' }).waitFor();
      expect(await findBarriers(page)).toEqual([]);
      await page.keyboard.press('Escape');
      await drawer.waitFor({ state: 'detached' });
      await expect.poll(() => page.evaluate('document.activeElement.getAttribute("aria-label")')).toBe('Menu');
      await page.getByRole('button', { name: 'Menu' }).click();
      await drawer.getByRole('link', { name: 'Usage' }).click();
      await page.waitForURL('**/usage');
      await drawer.waitFor({ state: 'detached' });
    });
  });
});

describe('the top line', () => {
  it('tells where one is, in the window title too, and leads back', async () => {
    const [first] = (await cortex.call('listModels')).models;
    await at(`/models/${first?.id}/edit`, {}, async (page) => {
      const way = page.getByRole('navigation', { name: 'Breadcrumb' });
      await way.getByText(first?.name ?? '').waitFor();
      expect(await way.getByRole('listitem').allTextContents()).toEqual(['Models', first?.name, 'Edit']);
      await expect.poll(() => page.title()).toBe(`Edit ${first?.name} · Cortex`);
      await way.getByRole('link', { name: 'Models' }).click();
      await page.waitForURL('**/models');
    });
  });

  it('has the offline badge, and what is under way with its end', async () => {
    await at('/usage', {}, async (page) => {
      await page.getByRole('link', { name: 'offline mode' }).waitFor();
      expect(await page.getByRole('button', { name: /job/ }).count()).toBe(0);
      const progress = { phase: 'downloading', layers: 4, layers_done: 1, done_bytes: 1e9, total_bytes: 4e9 };
      const rate = { bytes_per_second: 1e8, seconds_left: 30, started_at: new Date().toISOString(), waiting: 1 };
      let pulls = [{ image: 'vllm/vllm-openai:v0.6.3', ...progress, ...rate }];
      await page.route('**/admin/system/image-pulls', (route) => route.fulfill({ json: { pulls } }));
      await page.getByRole('button', { name: '1 job' }).click({ timeout: 20_000 });
      await page.getByRole('dialog').getByText('vllm/vllm-openai:v0.6.3').waitFor();
      await expectFitForAll(page, 'jobs');
      pulls = [];
      await page.getByRole('dialog').getByText('Nothing any more.').waitFor();
    });
  });

  it('says when the server does not answer, until it does', async () => {
    await at('/models', {}, async (page) => {
      await page.getByText('Granite').first().waitFor();
      await page.route('**/admin/**', (route) => route.abort('connectionrefused'));
      await page.getByText('no connection').waitFor({ timeout: 40_000 });
      expect(await findBarriers(page)).toEqual([]);
      await page.unroute('**/admin/**');
      await page.getByText('no connection').waitFor({ state: 'detached', timeout: 40_000 });
    });
  });
});

it('the list of models is narrowed by name and state, in the address', async () => {
  await at('/models?find=M', {}, async (page) => {
    const rows = page.getByRole('table', { name: 'Models' }).locator('tbody tr');
    await expect.poll(() => rows.count()).toBe(3);
    await page.getByRole('button', { name: /^Running 0/ }).click();
    await page.getByText('No model matches').waitFor();
    expect(page.url()).toContain('show=running');
    await page.getByRole('button', { name: 'Show all' }).click();
    await expect.poll(() => rows.count()).toBe(names.length);
    await expectFitForAll(page, 'models');
  });
});

it('a button that becomes usable can be read from its first frame on', async () => {
  await at('/password', {}, async (page) => {
    await page.getByLabel('New password').waitFor();
    const debug = await page.context().newCDPSession(page);
    await debug.send('Animation.enable');
    await debug.send('Animation.setPlaybackRate', { playbackRate: 0.005 });
    await page.getByLabel('New password').fill('correct horse battery');
    await page.getByRole('button', { name: 'Change password' }).isEnabled();
    expect(await findBarriers(page)).toEqual([]);
  });
});
