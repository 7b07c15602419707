import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { openChromium } from './chromium.ts';

const pictures = fileURLToPath(new URL('../artifacts/ui/', import.meta.url));
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds on the page as it is, of weight. Evaluated through the debugger, so the page's policy stays as it is. */
async function findBarriers(page: Page): Promise<string[]> {
  await page.evaluate(axeSource);
  const found = await page.evaluate<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }>(
    'axe.run()',
  );
  return found.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes[0]?.html ?? ''}`);
}

describe('the pages on the first run, on a machine without Docker', () => {
  const cortex = new EmbeddedCortex();
  let account: { username: string; password: string };
  beforeAll(async () => {
    mkdirSync(pictures, { recursive: true });
    await cortex.start({ DOCKER_HOST: 'unix:///nonexistent/docker.sock' });
    account = await cortex.signIn();
    await cortex.call('changePassword', { body: { current: account.password, next: `${account.password}-new` } });
  });
  afterAll(() => cortex.stop());

  for (const colorScheme of ['light', 'dark'] as const) {
    it(`can be used by everyone, fit every width and ask nobody else for anything (${colorScheme})`, async () => {
      const { context, close } = await openChromium({ colorScheme });
      try {
        const page = await context.newPage();
        const foreign: string[] = [];
        const broken: string[] = [];
        page.on('request', (request) => {
          if (!request.url().startsWith(cortex.ui)) foreign.push(request.url());
        });
        page.on('pageerror', (error) => broken.push(error.message));
        await page.goto(cortex.ui);
        await page.getByLabel('User name').fill(account.username);
        expect(await findBarriers(page)).toEqual([]);
        await page.getByLabel('Password', { exact: true }).fill(`${account.password}-new`);
        await page.getByRole('button', { name: 'Sign in' }).click();
        await page.waitForURL('**/models');
        for (const [name, path, text] of [
          ['models', '/models', 'No model yet'],
          ['add-model', '/models/add?step=folder', 'No model folder found'],
          ['playground', '/playground', 'No model is ready'],
          ['keys', '/keys', 'No key yet'],
          ['usage', '/usage', 'No request yet'],
          ['inspector', '/inspector', 'kept in the server'],
          ['system', '/system', 'No Docker Engine was found'],
        ] as const) {
          await page.goto(cortex.ui + path);
          await page.getByText(text).first().waitFor();
          expect(await findBarriers(page), name).toEqual([]);
          for (const width of [1440, 1024, 390]) {
            await page.setViewportSize({ width, height: 900 });
            await page.screenshot({ path: join(pictures, `${name}-empty-${colorScheme}-${width}.png`) });
            const overflow = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
            expect(overflow, `${name} at ${width}`).toBe(0);
          }
          await page.setViewportSize({ width: 1440, height: 900 });
        }
        expect(foreign).toEqual([]);
        expect(broken).toEqual([]);
      } finally {
        await close();
      }
    });
  }
});
