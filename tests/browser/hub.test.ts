import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { HubServer } from '../fixtures/hub-server.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';
import { openChromium } from './chromium.ts';
import { expectFitForAll, openSignedIn } from './signed-in.ts';

let cortex: EmbeddedCortex;
let hub: HubServer;

beforeAll(async () => {
  const dir = await mkdtemp(join(tmpdir(), 'cortex-hub-'));
  await writeTinyModel(join(dir, 'tiny.gguf'));
  hub = new HubServer({ 'tiny-Q4_0.gguf': await readFile(join(dir, 'tiny.gguf')), 'README.md': Buffer.from('# Tiny') });
  await rm(dir, { recursive: true });
  await hub.listen();
});
afterEach(() => cortex.stop());
afterAll(() => hub.close());

async function openAdd(env: Record<string, string>) {
  cortex = new EmbeddedCortex();
  await cortex.start({ HF_ENDPOINT: `http://127.0.0.1:${hub.port}`, ...env });
  const account = await cortex.signInForGood();
  const { context, close } = await openChromium();
  const page = await openSignedIn(context, `${cortex.ui}/models/add`, account);
  return { page, close };
}

const choiceOf = (page: Page) => page.getByRole('button', { name: 'From a hub' });

it('a model is chosen on the hub, downloaded, stopped, gone on with, and added', async () => {
  const { page, close } = await openAdd({ OFFLINE_MODE_AUTO_DETECT: 'False' });
  try {
    hub.bytesPerSecond = 20_000;
    await choiceOf(page).click();
    await page.getByLabel('Model', { exact: true }).fill('org/absent');
    await page.getByRole('button', { name: 'Look' }).click();
    await page.getByText(/The model hub refused org\/absent/).waitFor();
    await page.getByLabel('Model', { exact: true }).fill('org/tiny');
    await page.getByRole('button', { name: 'Look' }).click();
    await page.getByText('Licence: apache-2.0').waitFor();
    await expectFitForAll(page, 'hub-choose');
    await page.getByRole('button', { name: 'Download', exact: true }).click();
    await page.getByText(/ of .* · .*kB\/s · .* left/).waitFor({ timeout: 20_000 });
    await expectFitForAll(page, 'hub-download');
    await page.getByRole('button', { name: 'Cancel org/tiny in tiny' }).click();
    await page.getByText('cancelled', { exact: true }).waitFor();
    hub.bytesPerSecond = null;
    await page.reload();
    await page.getByRole('button', { name: 'Go on org/tiny in tiny' }).click();
    await page.getByRole('link', { name: 'Add this model' }).click();
    await page.getByText('In tiny', { exact: true }).waitFor();
    await page.getByRole('list', { name: 'Models' }).getByRole('button').waitFor();
    expect(page.url()).toContain('step=file');
  } finally {
    await close();
  }
});

it('in offline mode the hub is not offered, in words, and hears nothing', async () => {
  hub.connections = 0;
  const { page, close } = await openAdd({ OFFLINE_MODE: 'True' });
  try {
    await page.getByText('Not possible while nothing may be asked of the network.').waitFor();
    expect(await choiceOf(page).isDisabled()).toBe(true);
    await expectFitForAll(page, 'hub-offline');
    await page.goto(`${cortex.ui}/models/add?step=hub`);
    await page.getByText('Cortex is in offline mode').waitFor();
    expect(hub.connections).toBe(0);
  } finally {
    await close();
  }
});
