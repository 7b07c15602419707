import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { newModel } from '../../contract/models.ts';
import { EmbeddedCortex } from '../embedded-cortex.ts';
import { openChromium } from './chromium.ts';
import { expectFitForAll, openSignedIn } from './signed-in.ts';

const cortex = new EmbeddedCortex();
let account: { username: string; password: string };
let counter = 0;

beforeAll(async () => {
  await cortex.start({ DOCKER_HOST: 'unix:///nonexistent/docker.sock' });
  account = await cortex.signInForGood();
  await cortex.addTinyModel();
});
afterAll(() => cortex.stop());

async function makeModel(options: object) {
  const names = { name: 'Tiny', served_name: `tiny-${++counter}` };
  const body = newModel.parse({ ...names, engine: 'llamacpp', folder: 'tiny', file: 'tiny.gguf', options });
  return (await cortex.call('createModel', { body })).model;
}

it('a model is kept, changed, kept again, compared and made anew', async () => {
  const model = await makeModel({ context_size: 512, extra_env: { MY_TOKEN: 'hush' } });
  const { context, close } = await openChromium();
  try {
    const page = await openSignedIn(context, `${cortex.ui}/recipes`, account);
    await page.getByText('No recipe yet').or(page.getByRole('table')).first().waitFor();
    await expectFitForAll(page, 'recipes-empty');
    await page.getByRole('link', { name: 'Keep a model' }).click();
    await page.getByRole('dialog').getByLabel('Model').selectOption(model.id);
    await page.getByRole('dialog').getByLabel('Name').fill('Small light');
    await page.getByRole('dialog').getByLabel('Note').fill('The first');
    await expectFitForAll(page, 'recipe-keep');
    await page.getByRole('button', { name: 'Keep', exact: true }).click();
    await page.getByRole('heading', { name: 'Small light' }).waitFor();

    const edit = { version: 1, options: { context_size: 1024 } };
    await cortex.call('updateModel', { params: { id: model.id }, body: edit });
    await page.getByRole('button', { name: 'New version' }).click();
    await page.getByRole('dialog').getByLabel('Model').selectOption(model.id);
    await page.getByRole('dialog').getByLabel('Note').fill('With more context');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    const differences = page.getByRole('table', { name: 'Differences' });
    await differences.waitFor();
    expect(await differences.locator('tbody').allInnerTexts()).toEqual([
      expect.stringMatching(/options\.context_size\s+512\s+1024/),
    ]);
    await expectFitForAll(page, 'recipe');

    const downloading = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download' }).click();
    const file = await downloading;
    expect(file.suggestedFilename()).toBe('small-light-2.yaml');
    const content = await text(await file.createReadStream());
    expect(content).toContain('context_size: 1024');
    expect(content).not.toContain('hush');

    await page.getByRole('link', { name: '1', exact: true }).click();
    await page.getByText('version 1 of 2').waitFor();
    await page.getByRole('button', { name: 'Make a model' }).click();
    await page.getByRole('dialog').getByLabel('Served name').fill(model.served_name);
    await page.getByRole('dialog').getByLabel('MY_TOKEN').fill('another');
    await page.getByRole('button', { name: 'Make the model' }).click();
    await page.getByText('Another model is served').waitFor();
    await expectFitForAll(page, 'recipe-make');
    await page.getByRole('dialog').getByLabel('Served name').fill('made-light');
    await page.getByRole('button', { name: 'Make the model' }).click();
    await page.getByText('made-light').first().waitFor();
    const { models } = await cortex.call('listModels');
    expect(models.find((one) => one.served_name === 'made-light')?.options).toMatchObject({
      context_size: 512,
    });
  } finally {
    await close();
  }
});

it('a version is applied to a model, and a recipe deleted', async () => {
  const source = await makeModel({ context_size: 256 });
  const { recipe } = await cortex.call('createRecipe', { body: { name: 'Applied', source: { model_id: source.id } } });
  const target = await makeModel({ threads: 2 });
  const { context, close } = await openChromium();
  try {
    const page = await openSignedIn(context, `${cortex.ui}/recipes/${recipe.id}`, account);
    await page.getByRole('button', { name: 'Apply to a model' }).click();
    await page.getByRole('dialog').getByLabel('Model').selectOption(target.id);
    await page.getByRole('button', { name: 'Apply', exact: true }).click();
    await page.waitForURL(`**/models/${target.id}`);
    const { model } = await cortex.call('getModel', { params: { id: target.id } });
    expect(model).toMatchObject({ version: 2, options: { context_size: 256, threads: null } });
    await page.goto(`${cortex.ui}/recipes/${recipe.id}`);
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.waitForURL('**/recipes');
    expect((await cortex.call('listRecipes')).recipes.map(({ name }) => name)).not.toContain('Applied');
  } finally {
    await close();
  }
});

it("the Python Cortex's recipes are read with a word on each field before they are saved", async () => {
  const old = {
    ...{
      name: 'From before',
      model_name: 'Llama',
      served_model_name: 'llama',
      engine_type: 'llamacpp',
      task: 'generate',
    },
    ...{ local_path: 'llama/model.gguf', ngl: 20, system_prompt: 'Be kind.', hf_token: 'hush', colour: 'red' },
  };
  const { context, close } = await openChromium();
  try {
    const page = await openSignedIn(context, `${cortex.ui}/recipes?add=file`, account);
    await page.getByLabel('Or its text').fill(JSON.stringify(old));
    await page.getByRole('button', { name: 'Read' }).click();
    const found = page.getByRole('region', { name: 'From before' });
    await found.getByText('system_prompt').waitFor();
    await found.getByText('Nobody here knows this field.').waitFor();
    await found.getByText('fields taken').click();
    await found.getByText('ngl → options.gpu_layers').waitFor();
    await expectFitForAll(page, 'recipe-import');
    await page.getByRole('button', { name: 'Save it' }).click();
    await page.getByRole('link', { name: 'From before' }).waitFor();
    await expectFitForAll(page, 'recipes');
  } finally {
    await close();
  }
});
