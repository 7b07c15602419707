import { afterAll, beforeAll, expect, it } from 'vitest';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { openChromium } from './chromium.ts';
import { expectFitForAll, openSignedIn } from './signed-in.ts';

const cortex = new EmbeddedCortex();
let account: { username: string; password: string };

beforeAll(async () => {
  await cortex.start({ DOCKER_HOST: 'unix:///nonexistent/docker.sock' });
  account = await cortex.signInForGood();
  await cortex.addTinyModel();
});
afterAll(() => cortex.stop());

it('shows each option with its unit and help, says what is wrong at the field, and lists all issues before the start', async () => {
  const { context, close } = await openChromium();
  try {
    const address = `${cortex.ui}/models/add?step=configure&folder=tiny&file=tiny.gguf`;
    const page = await openSignedIn(context, address, account);
    await page.getByText('llama.cpp options').click();
    await page.getByLabel('context size (tokens)').fill('512');
    await page.getByText('Advanced', { exact: true }).click();
    await page.getByText('Speculative decoding', { exact: true }).click();
    await page.getByLabel('draft model').fill('../other.gguf');
    await page.getByText("a path below the model's folder").waitFor();
    expect(await page.getByRole('button', { name: 'Continue' }).isDisabled()).toBe(true);
    await page.getByLabel('draft model').fill('');
    await page.getByLabel('Further arguments').fill('--port\n1');
    await page.getByText('Cortex sets where the engine listens').waitFor();
    await page.getByLabel('Further arguments').fill('--yarn-ext-factor\n-1.0');
    await expectFitForAll(page, 'engine-options');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByText('to settle').waitFor();
    await page.getByText('No Docker Engine was found').first().waitFor();
    expect(await page.locator('pre, code').allInnerTexts()).toEqual(
      expect.arrayContaining([expect.stringContaining('--ctx-size 512 --yarn-ext-factor -1.0')]),
    );
  } finally {
    await close();
  }
});
