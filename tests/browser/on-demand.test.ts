import { afterAll, beforeAll, expect, it } from 'vitest';
import { newModel } from '../../contract/models.ts';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { openChromium } from './chromium.ts';
import { expectFitForAll, openSignedIn } from './signed-in.ts';

const cortex = new EmbeddedCortex();
let account: { username: string; password: string };
let id = '';

beforeAll(async () => {
  await cortex.start();
  account = await cortex.signInForGood();
  await cortex.addTinyModel();
  const model = { name: 'Tiny', served_name: 'tiny', engine: 'llamacpp', folder: 'tiny', file: 'tiny.gguf' } as const;
  id = (await cortex.call('createModel', { body: newModel.parse(model) })).model.id;
});
afterAll(() => cortex.stop());

it('a model is put on demand, changed and taken off', async () => {
  const { context, close } = await openChromium();
  const kept = async () => (await cortex.call('getOnDemand', { params: { id } })).on_demand;
  try {
    const page = await openSignedIn(context, cortex.ui, account);
    await page.goto(`${cortex.ui}/models/${id}`);
    const words = page.getByTestId('on-demand');
    await words.getByText(/^Off/).waitFor();
    await page.getByRole('button', { name: 'Switch on' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Unload after').fill('soon');
    expect(await dialog.getByRole('button', { name: 'Save' }).isDisabled()).toBe(true);
    expect(await dialog.getByLabel('Unload after').getAttribute('aria-invalid')).toBe('true');
    await dialog.getByLabel('Unload after').fill('60');
    await dialog.getByLabel('Group').fill('big');
    await expectFitForAll(page, 'on-demand');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await words.getByText(/unloaded after 60 s without one · priority 0 · of the group big/).waitFor();
    expect(await kept()).toEqual({ idle_seconds: 60, priority: 0, group: 'big' });
    await page.getByRole('button', { name: 'Change', exact: true }).click();
    await dialog.getByLabel('Unload after').fill('');
    await dialog.getByLabel('Priority').fill('5');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await words.getByText(/stays until another model needs its room · priority 5/).waitFor();
    await page.getByRole('button', { name: 'Switch off' }).click();
    await words.getByText(/^Off/).waitFor();
    expect(await kept()).toBeNull();
  } finally {
    await close();
  }
});
