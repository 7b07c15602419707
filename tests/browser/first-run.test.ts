import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { openChromium } from './chromium.ts';
import { expectFitForAll, findBarriers, openSignedIn, signIn } from './signed-in.ts';

describe('the pages on the first run, on a machine without Docker', () => {
  const cortex = new EmbeddedCortex();
  let account: { username: string; password: string };
  beforeAll(async () => {
    await cortex.start({ DOCKER_HOST: 'unix:///nonexistent/docker.sock' });
    account = await cortex.signInForGood();
  });
  afterAll(() => cortex.stop());

  it('load at most 200 kB of scripts before the first can be used, as the network carries them', async () => {
    const { context, close } = await openChromium();
    try {
      const page = await openSignedIn(context, cortex.ui, account);
      await page.getByText('No model yet').waitFor();
      const bytes = await page.evaluate<number>(
        'performance.getEntriesByType("resource").filter(({ name }) => name.endsWith(".js")).reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0)',
      );
      expect(bytes).toBeGreaterThan(50_000);
      expect(bytes).toBeLessThanOrEqual(200_000);
    } finally {
      await close();
    }
  });

  it('can be used by everyone, fit every width and ask nobody else for anything', async () => {
    const { context, close } = await openChromium();
    try {
      const page = await context.newPage();
      const foreign: string[] = [];
      const broken: string[] = [];
      page.on('request', (request) => {
        if (!request.url().startsWith(cortex.ui)) foreign.push(request.url());
      });
      page.on('pageerror', (error) => broken.push(error.message));
      await page.goto(cortex.ui);
      await page.getByLabel('User name').waitFor();
      expect(await findBarriers(page)).toEqual([]);
      await signIn(page, account);
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
        await expectFitForAll(page, `${name}-empty`);
      }
      expect(foreign).toEqual([]);
      expect(broken).toEqual([]);
    } finally {
      await close();
    }
  });
});
