import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { startCountingEngine } from '../faults/counting-engine.ts';
import type { ScriptedEngine } from '../fixtures/scripted-engine.ts';
import { openChromium } from './chromium.ts';

const pictures = fileURLToPath(new URL('../artifacts/ui/', import.meta.url));
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

describe('the inspector', () => {
  const cortex = new EmbeddedCortex();
  let engine: ScriptedEngine;
  let account: { username: string; password: string };
  let token: string;
  beforeAll(async () => {
    mkdirSync(pictures, { recursive: true });
    engine = await startCountingEngine();
    await cortex.start({ DOCKER_HOST: 'unix:///nonexistent/docker.sock', GATEWAY_WORKERS: '2' });
    account = await cortex.signIn();
    await cortex.call('changePassword', { body: { current: account.password, next: `${account.password}-new` } });
    await cortex.call('createEndpoint', { body: { name: 'mock', served_name: 'steady', url: engine.url } });
    ({ token } = await cortex.call('createKey', { body: { name: 'support-bot' } }));
  });
  afterAll(async () => {
    await cortex.stop();
    await engine.close();
  });

  const ask = async (body: object) => {
    const answer = await fetch(`${cortex.api}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    await answer.text();
  };

  it('is started, shows what was asked and answered, also by a worker, and forgets it', async () => {
    const { context, close } = await openChromium();
    try {
      const page = await context.newPage();
      await page.goto(cortex.ui);
      await page.getByLabel('User name').fill(account.username);
      await page.getByLabel('Password', { exact: true }).fill(`${account.password}-new`);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.waitForURL('**/models');
      await page.getByRole('link', { name: 'Inspector' }).click();
      await page.getByRole('button', { name: 'Inspect requests' }).click();
      await page.getByText('Waiting for a request').waitFor();
      await ask({ model: 'steady', messages: [{ role: 'user', content: `Where is the pump? ${token}` }] });
      await ask({ model: 'nobody', messages: [] });
      await page.getByText('model_not_found').waitFor();
      await page
        .getByRole('button', { name: /second|now/ })
        .last()
        .click();
      const dialog = page.getByRole('dialog');
      await dialog.getByText('Where is the pump? (key)').waitFor();
      await dialog
        .getByText(/tokens-\d/)
        .first()
        .waitFor();
      expect(await page.content()).not.toContain(token);
      await page.evaluate(axeSource);
      const found = await page.evaluate<{ violations: { id: string; impact: string }[] }>('axe.run()');
      expect(found.violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')).toEqual([]);
      for (const width of [1440, 390]) {
        await page.setViewportSize({ width, height: 900 });
        await page.screenshot({ path: join(pictures, `inspector-details-${width}.png`) });
        expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBe(0);
      }
      await dialog.getByRole('button', { name: 'Close' }).click();
      await page.screenshot({ path: join(pictures, `inspector-full-390.png`) });
      await page.setViewportSize({ width: 1440, height: 900 });
      await page.screenshot({ path: join(pictures, `inspector-full-1440.png`) });
      await page.getByRole('button', { name: 'Stop and forget' }).click();
      await page.getByRole('button', { name: 'Inspect requests' }).waitFor();
      expect((await cortex.call('getInspector')).requests).toEqual([]);
    } finally {
      await close();
    }
  });
});
