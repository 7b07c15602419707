import { afterAll, beforeAll, expect, it } from 'vitest';
import { newModel } from '../../contract/models.ts';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { openChromium } from './chromium.ts';
import { expectFitForAll, openSignedIn } from './signed-in.ts';

const cortex = new EmbeddedCortex();
let account: { username: string; password: string };

beforeAll(async () => {
  await cortex.start({ DOCKER_HOST: 'unix:///nonexistent/docker.sock' });
  account = await cortex.signInForGood();
  await cortex.addTinyModel();
});
afterAll(() => cortex.stop());

let counter = 0;
async function makeModel() {
  const served_name = `tiny-${++counter}`;
  const options = { context_size: 512, parallel: 2, extra_env: { MY_TOKEN: 'hush' } };
  const body = {
    name: 'Tiny',
    replicas: 2,
    served_name,
    engine: 'llamacpp',
    folder: 'tiny',
    file: 'tiny.gguf',
    options,
  } as const;
  return (await cortex.call('createModel', { body: newModel.parse(body) })).model;
}

it('a model is changed with the command in sight', async () => {
  const model = await makeModel();
  const { context, close } = await openChromium();
  try {
    const page = await openSignedIn(context, `${cortex.ui}/models/${model.id}`, account);
    await page.getByRole('link', { name: 'Edit' }).click();
    await page.getByText('llama.cpp options').click();
    const size = page.getByLabel('context size (tokens)');
    expect(await size.inputValue()).toBe('512');
    await size.fill('lots');
    expect(await page.getByRole('button', { name: 'Continue' }).isDisabled()).toBe(true);
    await size.fill('2048');
    await page.getByLabel('Name', { exact: true }).fill('Little');
    await expectFitForAll(page, 'edit-model');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByText('--ctx-size 2048').waitFor();
    await page.getByText('The model does not run').waitFor();
    expect(await page.getByText('Another model is served').count()).toBe(0);
    await expectFitForAll(page, 'edit-model-review');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { name: 'Little' }).waitFor();
    const { model: saved } = await cortex.call('getModel', { params: { id: model.id } });
    expect(saved).toMatchObject({
      version: 2,
      name: 'Little',
      replicas: 2,
      options: { context_size: 2048, parallel: 2 },
    });
  } finally {
    await close();
  }
});

it('a change that comes late says what was changed meanwhile, and can start anew from it', async () => {
  const model = await makeModel();
  const { context, close } = await openChromium();
  try {
    const page = await openSignedIn(context, `${cortex.ui}/models/${model.id}/edit`, account);
    await page.getByLabel('Name', { exact: true }).fill('Mine');
    await cortex.call('updateModel', {
      params: { id: model.id },
      body: { version: 1, options: { context_size: 4096 } },
    });
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('options.context_size by admin').waitFor();
    await expectFitForAll(page, 'edit-model-conflict');
    await page.getByRole('button', { name: 'Discard mine and load it again' }).click();
    expect(await page.getByLabel('Name', { exact: true }).inputValue()).toBe('Tiny');
    await page.getByText('llama.cpp options').click();
    expect(await page.getByLabel('context size (tokens)').inputValue()).toBe('4096');
  } finally {
    await close();
  }
});
