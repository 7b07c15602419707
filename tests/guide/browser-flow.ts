import { join } from 'node:path';
import { expect } from 'vitest';
import { openChromium } from '../browser/chromium.ts';

interface Flow {
  readonly ui: string;
  readonly password: string;
  readonly folder: string;
  readonly servedName: string;
  /** Where pictures of each page are kept. */
  readonly screenshots: string;
}

/** Scenario 2 of the guide as its reader does it: sign in, add a model from a folder, watch it start, make a key, chat. Gives the key. */
export async function addModelInBrowser({ ui, password, folder, servedName, screenshots }: Flow): Promise<string> {
  const { context, close } = await openChromium();
  try {
    const page = await context.newPage();
    const foreign: string[] = [];
    const broken: string[] = [];
    page.on('request', (request) => {
      if (!request.url().startsWith(ui)) foreign.push(request.url());
    });
    page.on('console', (message) => {
      if (message.type() === 'error' && message.text().includes('Content Security Policy')) broken.push(message.text());
    });
    page.on('pageerror', (error) => broken.push(error.message));
    const shoot = (name: string) => page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });

    await page.goto(ui);
    await page.getByLabel('User name').fill('admin');
    await page.getByLabel('Password', { exact: true }).fill(password);
    await shoot('ui-1-sign-in');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByLabel('Current password').fill(password);
    await page.getByLabel('New password').fill(`${password}-changed`);
    await page.getByRole('button', { name: 'Change password' }).click();

    await page.getByRole('link', { name: 'Add model' }).first().click();
    await page.getByRole('button', { name: 'Offline' }).click();
    await shoot('ui-2-folders');
    await page.getByRole('button', { name: folder }).click();
    await shoot('ui-3-files');
    await page.getByRole('button', { name: /llama\.cpp/ }).click();
    await page.getByLabel('Served name').fill(servedName);
    await shoot('ui-4-configure');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByText('--api-key-file').waitFor();
    await shoot('ui-5-review');
    await page.getByRole('button', { name: 'Create and start' }).click();
    await expect.poll(() => page.getByTestId('model-state').textContent(), { timeout: 90_000 }).toContain('ready');
    await page.getByText('curl', { exact: true }).waitFor();
    await shoot('ui-6-model');

    await page.getByRole('link', { name: 'API keys' }).click();
    await page.getByRole('button', { name: 'New key' }).click();
    await page.getByLabel('Name').fill('guide');
    await page.getByRole('button', { name: 'Create key' }).click();
    const key = (await page.getByTestId('token').textContent()) ?? '';
    await page.getByRole('button', { name: 'Done' }).click();
    await shoot('ui-7-keys');

    await page.getByRole('link', { name: 'Playground' }).click();
    await page.getByLabel('Max tokens').fill('16');
    await page.getByLabel('Message').fill('Is anybody there?');
    await page.getByRole('button', { name: 'Send' }).click();
    await page.getByText(/tokens\/s/).waitFor({ timeout: 60_000 });
    await shoot('ui-8-playground');

    await page.getByRole('link', { name: 'System' }).click();
    await page.getByText('ready for offline operation', { exact: true }).waitFor();
    await shoot('ui-9-system');
    await page.getByRole('link', { name: 'Models' }).click();
    await page.getByText('ready', { exact: true }).waitFor();
    await shoot('ui-10-models');
    expect(foreign).toEqual([]);
    expect(broken).toEqual([]);
    return key;
  } finally {
    await close();
  }
}
