import { mkdirSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';
import { openChromium } from './chromium.ts';

const pictures = fileURLToPath(new URL('../artifacts/ui/', import.meta.url));
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const cortex = new EmbeddedCortex();
let account: { username: string; password: string };

beforeAll(async () => {
  mkdirSync(pictures, { recursive: true });
  await cortex.start({ DOCKER_HOST: 'unix:///nonexistent/docker.sock' });
  account = await cortex.signIn();
  await cortex.call('changePassword', { body: { current: account.password, next: `${account.password}-new` } });
  await mkdir(join(cortex.models, 'tiny'));
  await writeTinyModel(join(cortex.models, 'tiny/tiny.gguf'));
});
afterAll(() => cortex.stop());

it('shows each option with its unit and help, says what is wrong at the field, and lists all issues before the start', async () => {
  const { context, close } = await openChromium();
  try {
    const page = await context.newPage();
    await page.goto(cortex.ui);
    await page.getByLabel('User name').fill(account.username);
    await page.getByLabel('Password', { exact: true }).fill(`${account.password}-new`);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.waitForURL('**/models');
    await page.goto(`${cortex.ui}/models/add?step=configure&folder=tiny&file=tiny.gguf`);
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
    await page.evaluate(axeSource);
    const found = await page.evaluate<{ violations: { id: string; impact: string }[] }>('axe.run()');
    expect(found.violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')).toEqual([]);
    for (const width of [1440, 390]) {
      await page.setViewportSize({ width, height: 1200 });
      await page.screenshot({ path: join(pictures, `engine-options-${width}.png`), fullPage: true });
      expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth'), `at ${width}`).toBe(0);
    }
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
