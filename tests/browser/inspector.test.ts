import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { startCountingEngine } from '../faults/counting-engine.ts';
import type { ScriptedEngine } from '../fixtures/scripted-engine.ts';
import { openChromium } from './chromium.ts';
import { expectFitForAll, openSignedIn } from './signed-in.ts';

describe('the inspector', () => {
  const cortex = new EmbeddedCortex();
  let engine: ScriptedEngine;
  let account: { username: string; password: string };
  let token: string;
  beforeAll(async () => {
    engine = await startCountingEngine();
    await cortex.start({ DOCKER_HOST: 'unix:///nonexistent/docker.sock', GATEWAY_WORKERS: '2' });
    account = await cortex.signInForGood();
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
      const page = await openSignedIn(context, cortex.ui, account);
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
      await expectFitForAll(page, 'inspector-details');
      await dialog.getByRole('button', { name: 'Close' }).click();
      await expectFitForAll(page, 'inspector-full');
      await page.getByRole('button', { name: 'Stop and forget' }).click();
      await page.getByRole('button', { name: 'Inspect requests' }).waitFor();
      expect((await cortex.call('getInspector')).requests).toEqual([]);
    } finally {
      await close();
    }
  });
});
