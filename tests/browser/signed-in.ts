import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BrowserContext, Page } from 'playwright-core';
import { expect } from 'vitest';

const pictures = fileURLToPath(new URL('../artifacts/ui/', import.meta.url));
const keepsPictures = process.env.PICTURES === '1';
const widths = [1440, 1024, 390];
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface Account {
  readonly username: string;
  readonly password: string;
}

/** Fills in the sign-in page that is shown. */
export async function signIn(page: Page, { username, password }: Account): Promise<void> {
  await page.getByLabel('User name').fill(username);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** Opens an address of the UI as somebody who has to sign in first and is then led there. */
export async function openSignedIn(context: BrowserContext, address: string, account: Account): Promise<Page> {
  const page = await context.newPage();
  await page.goto(address);
  await signIn(page, account);
  await page.waitForURL(({ pathname }) => pathname !== '/sign-in');
  return page;
}

/** What axe finds on the page as it is, of weight. Evaluated through the debugger, so the page's policy stays as it is. */
export async function findBarriers(page: Page): Promise<string[]> {
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate<{
    violations: { id: string; impact: string; nodes: { html: string }[] }[];
  }>('axe.run()');
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}

/** The page as it is has no barrier, in both themes, and fits every width. With PICTURES=1 it is kept as pictures. */
export async function expectFitForAll(page: Page, name: string): Promise<void> {
  for (const colorScheme of ['dark', 'light'] as const) {
    await page.emulateMedia({ colorScheme });
    await page.locator(`html[data-theme=${colorScheme}]`).waitFor({ state: 'attached' });
    // A colour that changes is judged where it ends; skeletons never end.
    await page.evaluate(
      'Promise.all(document.getAnimations().filter((one) => one.effect.getComputedTiming().endTime < Infinity).map((one) => one.finished.catch(() => null)))',
    );
    expect(await findBarriers(page), `${name}, ${colorScheme}`).toEqual([]);
    for (const width of widths) {
      // A theme changes no width.
      if (colorScheme === 'dark' && !keepsPictures) continue;
      await page.setViewportSize({ width, height: 900 });
      await expectNoOverflow(page, `${name} at ${width}`);
      if (keepsPictures) await page.screenshot({ path: join(pictures, `${name}-${colorScheme}-${width}.png`) });
    }
    await page.setViewportSize({ width: 1440, height: 900 });
  }
}

async function expectNoOverflow(page: Page, what: string): Promise<void> {
  expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth'), what).toBe(0);
  const inDialogs = await page.evaluate<number>(
    'Math.max(0, ...[...document.querySelectorAll("[role=dialog]")].map((one) => one.scrollWidth - one.clientWidth))',
  );
  expect(inDialogs, `dialog of ${what}`).toBe(0);
}
