import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findModel } from '../../backend/src/db/model-records.ts';
import type { Models } from '../../backend/src/models/models.ts';
import { Recipes } from '../../backend/src/models/recipes.ts';
import { readRecipes } from '../../contract/config-file/recipes.ts';
import { newModel } from '../../contract/models.ts';
import { recipeContent } from '../../contract/recipes.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';
import { onBothDatabases } from './both-databases.ts';
import { modelsWithoutDocker } from './models-without-docker.ts';

let dir: string;
let counter = 0;
const unique = (name: string) => `${name}-${++counter}`;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'cortex-recipes-'));
  mkdirSync(join(dir, 'models/tiny'), { recursive: true });
  await writeTinyModel(join(dir, 'models/tiny/tiny.gguf'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const tiny = (options: object = {}) =>
  newModel.parse({
    ...{ name: 'Tiny', served_name: unique('tiny'), engine: 'llamacpp', folder: 'tiny', file: 'tiny.gguf' },
    options,
  });
const withSecret = { context_size: 512, extra_env: { MY_TOKEN: 'hush', COLOUR: 'green' } };

onBothDatabases((database) => {
  let models: Models;
  let recipes: Recipes;
  beforeAll(() => {
    const { db } = database();
    models = modelsWithoutDocker(db, dir);
    recipes = new Recipes({ db, models, logger: { info: () => undefined } });
  });
  afterAll(() => models.close());
  const optionsOf = async (id: string) => (await findModel(database().db, id))?.options;

  describe('a recipe', () => {
    it('keeps a model as it is configured, without its secrets', async () => {
      const { id } = await models.create(tiny(withSecret));
      const made = await recipes.create(unique('r'), 'as it runs well', { model_id: id }, 'ada');
      expect(made).toMatchObject({
        version: 1,
        versions: [{ version: 1, note: 'as it runs well', username: 'ada' }],
        content: { engine: 'llamacpp', folder: 'tiny', file: 'tiny.gguf', options: { context_size: 512 } },
        secrets: ['options.extra_env.MY_TOKEN'],
      });
      const rows = await database().db.selectFrom('recipe_versions').selectAll().execute();
      expect(JSON.stringify(rows)).not.toContain('hush');
    });

    it('keeps no secret that is sent either', async () => {
      const content = recipeContent.parse({ engine: 'llamacpp', options: { extra_args: ['--x-token', 'hush'] } });
      const made = await recipes.create(unique('r'), '', { content }, 'ada');
      expect(made.secrets).toEqual(['options.extra_args.1']);
      expect(JSON.stringify(made)).not.toContain('hush');
    });

    it('has a version for each change, tells what differs, and keeps the older ones', async () => {
      const { id: model, version } = await models.create(tiny(withSecret));
      const { recipe } = await recipes.create(unique('r'), '', { model_id: model }, 'ada');
      expect((await recipes.save(recipe.id, 1, '', { model_id: model }, 'bob')).version).toBe(1);
      await models.update(model, { version, options: { context_size: 1024, extra_env: { SIZE: 'big' } } }, 'ada');
      const saved = await recipes.save(recipe.id, 1, 'larger', { model_id: model }, 'bob');
      expect(saved.versions.map((one) => [one.version, one.username, one.note])).toEqual([
        [2, 'bob', 'larger'],
        [1, 'ada', ''],
      ]);
      expect(await recipes.diff(recipe.id, 1, 2)).toEqual(
        [
          { field: 'options.context_size', before: 512, after: 1024, secret: false },
          { field: 'options.extra_env.MY_TOKEN', before: '‹hidden›', after: null, secret: false },
          { field: 'options.extra_env.COLOUR', before: 'green', after: null, secret: false },
          { field: 'options.extra_env.SIZE', before: null, after: 'big', secret: false },
        ].sort((a, b) => a.field.localeCompare(b.field)),
      );
      expect((await recipes.get(recipe.id, 1)).content.options).toMatchObject({ context_size: 512 });
    });

    it('refuses a version that comes late, with who came first', async () => {
      const content = (context_size: number) => ({
        content: recipeContent.parse({ engine: 'llamacpp', options: { context_size } }),
      });
      const { recipe } = await recipes.create(unique('r'), '', content(1), 'ada');
      const both = await Promise.allSettled([
        recipes.save(recipe.id, 1, '', content(2), 'ada'),
        recipes.save(recipe.id, 1, '', content(3), 'ada'),
      ]);
      expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      await expect(recipes.save(recipe.id, 1, '', content(4), 'bob')).rejects.toMatchObject({
        code: 'recipe_changed',
        message: expect.stringContaining('saved by ada'),
      });
    });

    it('has a name of its own, until it is deleted with all its versions', async () => {
      const name = unique('r');
      const content = recipeContent.parse({ engine: 'vllm' });
      const { recipe } = await recipes.create(name, '', { content }, 'ada');
      await expect(recipes.create(name, '', { content }, 'ada')).rejects.toMatchObject({
        code: 'conflict',
        param: 'name',
      });
      expect(await recipes.list()).toContainEqual(recipe);
      await recipes.delete(recipe.id, 'ada');
      await expect(recipes.get(recipe.id)).rejects.toMatchObject({ code: 'not_found' });
      await expect(recipes.delete(recipe.id, 'ada')).rejects.toMatchObject({ code: 'not_found' });
      await recipes.create(name, '', { content }, 'ada');
    });

    it('as a file names what is left out, and reads back as it was', async () => {
      const { id } = await models.create(tiny(withSecret));
      const made = await recipes.create(unique('Well tuned'), 'note', { model_id: id }, 'ada');
      const { file_name, text } = await recipes.file(made.recipe.id);
      expect(file_name).toMatch(/^well-tuned-\d+-1\.yaml$/);
      expect(text).toMatch(/^# Left out.*options\.extra_env\.MY_TOKEN/);
      expect(text).not.toContain('hush');
      expect(readRecipes(text)).toEqual([{ name: made.recipe.name, note: 'note', content: made.content, notes: [] }]);
    });
  });

  describe('a recipe applied to a model', () => {
    it('gives it the options, and leaves its name, its folder and the secrets that it has', async () => {
      const source = await models.create(tiny(withSecret));
      const { recipe } = await recipes.create(unique('r'), '', { model_id: source.id }, 'ada');
      const model = await models.create(tiny({ threads: 2, extra_env: { MY_TOKEN: 'own' } }));
      const use = { version: 1, secrets: {} };
      const applied = await recipes.apply(recipe.id, use, model.id, 1, 'ada');
      expect(applied).toMatchObject({ served_name: model.served_name, version: 2, options: { threads: null } });
      expect(await optionsOf(model.id)).toMatchObject({
        context_size: 512,
        extra_env: { MY_TOKEN: 'own', COLOUR: 'green' },
      });
    });

    it('names the secret that the model lacks, and takes it where it is given', async () => {
      const source = await models.create(tiny(withSecret));
      const { recipe } = await recipes.create(unique('r'), '', { model_id: source.id }, 'ada');
      const model = await models.create(tiny());
      const apply = (secrets: Record<string, string>) =>
        recipes.apply(recipe.id, { version: 1, secrets }, model.id, 1, 'ada');
      await expect(apply({})).rejects.toMatchObject({ param: 'options.extra_env.MY_TOKEN' });
      await apply({ 'options.extra_env.MY_TOKEN': 'given' });
      expect(await optionsOf(model.id)).toMatchObject({ extra_env: { MY_TOKEN: 'given' } });
    });

    it('of another engine is refused', async () => {
      const content = recipeContent.parse({ engine: 'vllm' });
      const { recipe } = await recipes.create(unique('r'), '', { content }, 'ada');
      const model = await models.create(tiny());
      const applied = recipes.apply(recipe.id, { version: 1, secrets: {} }, model.id, 1, 'ada');
      await expect(applied).rejects.toMatchObject({ code: 'recipe_unfit' });
    });
  });

  describe('a model made from a recipe', () => {
    it('is as the recipe, but where it is told otherwise', async () => {
      const source = await models.create(tiny(withSecret));
      const { recipe } = await recipes.create(unique('r'), '', { model_id: source.id }, 'ada');
      const use = { version: 1, secrets: { 'options.extra_env.MY_TOKEN': 'given' } };
      const served_name = unique('made');
      const made = await recipes.makeModel(recipe.id, use, { served_name });
      expect(made).toMatchObject({ name: 'Tiny', served_name, folder: 'tiny', options: { context_size: 512 } });
      await expect(recipes.makeModel(recipe.id, use, {})).rejects.toMatchObject({ code: 'conflict' });
    });

    it('needs what the recipe leaves open', async () => {
      const content = recipeContent.parse({ engine: 'llamacpp' });
      const { recipe } = await recipes.create(unique('r'), '', { content }, 'ada');
      const make = (place: object) => recipes.makeModel(recipe.id, { version: 1, secrets: {} }, place);
      await expect(make({ folder: 'tiny' })).rejects.toMatchObject({ code: 'recipe_unfit', param: 'served_name' });
      await expect(make({ served_name: unique('m') })).rejects.toMatchObject({ param: 'folder' });
      await expect(make({ served_name: unique('m'), folder: 'tiny' })).rejects.toMatchObject({ param: 'file' });
    });
  });
});
