import { isDeepStrictEqual } from 'node:util';
import type { Kysely } from 'kysely';
import { recipeText } from '../../../contract/config-file/text.ts';
import type { ConfigurationChange } from '../../../contract/configuration.ts';
import { CortexError } from '../../../contract/errors.ts';
import { hiddenFields } from '../../../contract/hidden.ts';
import type { ModelEdit } from '../../../contract/model-edit.ts';
import type { Model, NewModel } from '../../../contract/models.ts';
import {
  type FieldChange,
  type Recipe,
  type RecipeContent,
  type RecipeDetail,
  recipeContent,
} from '../../../contract/recipes.ts';
import { listModels } from '../db/model-records.ts';
import { listOnDemand } from '../db/on-demand-records.ts';
import * as records from '../db/recipe-records.ts';
import type { Database } from '../db/schema.ts';
import { type Description, diffConfiguration } from './configuration.ts';
import { differences, shownOptions } from './differences.ts';
import { readModel } from './edit.ts';
import { withSecrets } from './secrets.ts';

/** The part of the models that recipes use. */
export interface RecipeModels {
  get(id: string): Promise<Model>;
  create(model: NewModel): Promise<Model>;
  update(id: string, edit: ModelEdit, username: string): Promise<Model>;
  check(model: NewModel): Promise<void>;
}

export interface RecipesOptions {
  readonly db: Kysely<Database>;
  readonly models: RecipeModels;
  readonly logger: { info(details: object, message: string): void };
}

/** Where a version's content comes from. */
export type RecipeSource = { readonly content: RecipeContent } | { readonly model_id: string };

interface Use {
  readonly version: number;
  readonly secrets: Readonly<Record<string, string>>;
}
interface ModelPlace {
  readonly name?: string | undefined;
  readonly served_name?: string | undefined;
  readonly folder?: string | undefined;
  readonly file?: string | null | undefined;
}

const compared = ['engine', 'task', 'model_name', 'served_name', 'folder', 'file'];

/** Named configurations of models. A version is never changed; a secret is never in one. */
export class Recipes {
  readonly #options: RecipesOptions;

  constructor(options: RecipesOptions) {
    this.#options = options;
  }

  async list(): Promise<Recipe[]> {
    return (await records.listRecipes(this.#options.db)).map(toRecipe);
  }

  /** @throws CortexError not_found */
  async get(id: string, version?: number): Promise<RecipeDetail> {
    const versions = await records.recipeVersions(this.#options.db, id);
    const [latest] = versions;
    if (latest === undefined) throw new CortexError('not_found', { what: 'recipe', id });
    const shown = version === undefined ? latest : versions.find((one) => one.version === version);
    if (shown === undefined)
      throw new CortexError('not_found', { what: `version of the recipe '${latest.name}'`, id: String(version) });
    return {
      recipe: toRecipe(latest),
      versions: versions.map(toVersion),
      version: shown.version,
      content: shown.content,
      secrets: hiddenFields(shown.content.options),
    };
  }

  /** @throws CortexError conflict where another recipe has the name */
  async create(name: string, note: string, source: RecipeSource, username: string): Promise<RecipeDetail> {
    const { db, logger } = this.#options;
    const id = await records.insertRecipe(db, name, { username, note, content: await this.#content(source) });
    logger.info({ recipe: id, name, username }, 'A recipe was made');
    return this.get(id);
  }

  /** @throws CortexError recipe_changed where it has a newer version than the one that was read */
  async save(id: string, version: number, note: string, source: RecipeSource, username: string): Promise<RecipeDetail> {
    const { db, logger } = this.#options;
    const before = await this.get(id);
    const content = await this.#content(source);
    if (before.version === version && isDeepStrictEqual(before.content, content)) return before;
    const isNext = before.version === version;
    if (!isNext || !(await records.insertVersion(db, id, version + 1, { username, note, content }))) {
      const { recipe } = await this.get(id);
      const { version: newest, username: saver } = recipe.latest;
      throw new CortexError('recipe_changed', { recipe: recipe.name, version: newest, username: saver });
    }
    logger.info({ recipe: id, version: version + 1, username }, 'A version of a recipe was saved');
    return this.get(id);
  }

  async diff(id: string, from: number, to: number): Promise<FieldChange[]> {
    const [before, after] = [await this.get(id, from), await this.get(id, to)];
    return differences(before.content, after.content, compared);
  }

  async file(id: string, version?: number): Promise<{ file_name: string; text: string }> {
    const { recipe, version: shown, versions, content } = await this.get(id, version);
    const note = versions.find((one) => one.version === shown)?.note ?? '';
    return {
      file_name: `${recipe.name.toLowerCase().replaceAll(' ', '-')}-${shown}.yaml`,
      text: recipeText({ name: recipe.name, note, content }),
    };
  }

  /** @throws CortexError recipe_unfit, and as an edit of the model */
  async apply(id: string, use: Use, modelId: string, modelVersion: number, username: string): Promise<Model> {
    const { recipe, content } = await this.get(id, use.version);
    const { engine } = await this.#options.models.get(modelId);
    if (engine !== content.engine) {
      const reason = `it is for ${content.engine}, and the model runs on ${engine}.`;
      throw new CortexError('recipe_unfit', { recipe: recipe.name, reason }, { param: 'model_id' });
    }
    const options = withSecrets(content.options, use.secrets);
    return this.#options.models.update(modelId, { version: modelVersion, task: content.task, options }, username);
  }

  /** @throws CortexError recipe_unfit, and as a new model */
  async makeModel(id: string, use: Use, place: ModelPlace): Promise<Model> {
    const { recipe, content } = await this.get(id, use.version);
    const served_name = place.served_name ?? content.served_name;
    const folder = place.folder ?? content.folder;
    const lacking = served_name === null ? 'served_name' : folder === null ? 'folder' : null;
    if (lacking !== null) {
      const reason = `it names no ${lacking}, and none was given.`;
      throw new CortexError('recipe_unfit', { recipe: recipe.name, reason }, { param: lacking });
    }
    const { engine, task } = content;
    const name = place.name ?? content.model_name ?? served_name;
    const file = place.file === undefined ? content.file : place.file;
    const options = withSecrets(content.options, use.secrets);
    return this.#options.models.create(readModel({ engine, task, name, served_name, folder, file, options }, null));
  }

  /** What a description of models and recipes would change. */
  async diffConfiguration(description: Description): Promise<ConfigurationChange[]> {
    const { db, models } = this.#options;
    return diffConfiguration(description, {
      models: await listModels(db),
      onDemand: await listOnDemand(db),
      recipes: await records.listRecipes(db),
      check: (model) => models.check(model),
    });
  }

  async delete(id: string, username: string): Promise<void> {
    const { db, logger } = this.#options;
    if (!(await records.deleteRecipe(db, id))) throw new CortexError('not_found', { what: 'recipe', id });
    logger.info({ recipe: id, username }, 'A recipe was deleted');
  }

  /** What is kept of a source: never a secret. */
  async #content(source: RecipeSource): Promise<RecipeContent> {
    if ('content' in source)
      return recipeContent.parse({ ...source.content, options: shownOptions(source.content.options) });
    const { name, ...model } = await this.#options.models.get(source.model_id);
    return recipeContent.parse({ ...model, model_name: name });
  }
}

const toVersion = ({ version, note, username, at }: records.RecipeRecord) => ({ version, note, username, at });
const toRecipe = (record: records.RecipeRecord): Recipe => {
  const { id, name, content } = record;
  return { id, name, engine: content.engine, task: content.task, latest: toVersion(record) };
};
