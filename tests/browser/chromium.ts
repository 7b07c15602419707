import { type Browser, type BrowserContext, chromium } from 'playwright-core';
import { afterAll } from 'vitest';

/** One for all tests of a file: to start it takes longer than most of them. */
let browser: Promise<Browser> | undefined;
afterAll(async () => (await browser)?.close());

/** Debian's Chromium, without its own calls to the internet, as somebody sees it who was never here. */
export async function openChromium(
  options: { viewport?: { width: number; height: number }; colorScheme?: 'light' | 'dark' } = {},
): Promise<{ context: BrowserContext; close: () => Promise<void> }> {
  browser ??= chromium.launch({
    executablePath: '/usr/bin/chromium',
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  const context = await (await browser).newContext({
    viewport: options.viewport ?? { width: 1440, height: 900 },
    colorScheme: options.colorScheme ?? 'light',
  });
  return { context, close: () => context.close() };
}
