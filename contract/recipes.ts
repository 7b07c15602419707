import { z } from 'zod';
import { llamacppOptions, vllmOptions } from './engine-options/schema.ts';
import { engine, model, modelBase, task } from './models.ts';
import { defineRoute } from './route.ts';

const contentBase = z.object({
  task: task.default('generate'),
  /** Of the model that it was made for; a model that is made from it takes them where it is given no others. */
  model_name: modelBase.shape.name.nullable().default(null),
  served_name: modelBase.shape.served_name.nullable().default(null),
  folder: modelBase.shape.folder.nullable().default(null),
  file: z.string().min(1).max(1024).nullable().default(null),
});
/** The configuration that a recipe keeps. Of its secrets it keeps only that there is one. */
export const recipeContent = z.discriminatedUnion('engine', [
  contentBase.extend({ engine: z.literal('llamacpp'), options: llamacppOptions.strict().prefault({}) }),
  contentBase.extend({ engine: z.literal('vllm'), options: vllmOptions.strict().prefault({}) }),
]);
export type RecipeContent = z.infer<typeof recipeContent>;

export const recipeName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9 ._-]{0,127}$/,
    'letters, digits, spaces and . _ - only, starting with a letter or digit',
  );
export const recipeNote = z.string().max(2000);

const recipeVersion = z.object({
  version: z.number().int(),
  note: z.string(),
  username: z.string(),
  at: z.iso.datetime(),
});

export const recipe = z.object({
  id: z.string(),
  name: z.string(),
  engine,
  task,
  /** The newest one. */
  latest: recipeVersion,
});
export type Recipe = z.infer<typeof recipe>;

export const recipeDetail = z.object({
  recipe,
  /** Newest first. */
  versions: z.array(recipeVersion),
  /** Of the version that was asked for. */
  version: z.number().int(),
  content: recipeContent,
  /** The fields of secrets that were left out. */
  secrets: z.array(z.string()),
});
export type RecipeDetail = z.infer<typeof recipeDetail>;

/** One field that differs. Of a secret it is told only that it does. */
export const fieldChange = z.object({
  field: z.string(),
  before: z.unknown(),
  after: z.unknown(),
  secret: z.boolean(),
});
export type FieldChange = z.infer<typeof fieldChange>;

/** Where a recipe's content comes from: as it is given, or as a model is configured now. */
const source = z.union([z.strictObject({ content: recipeContent }), z.strictObject({ model_id: z.string() })]);

/** What became of one field of a foreign recipe. */
export const importNote = z.object({
  field: z.string(),
  /** taken: it became `to`; left_out: it has no place here, and why; refused: it can't be taken, and why. */
  outcome: z.enum(['taken', 'left_out', 'refused']),
  to: z.string().nullable(),
  message: z.string().nullable(),
});
export type ImportNote = z.infer<typeof importNote>;

/** A recipe as it was read from a file; nothing of it is saved yet. */
export const readRecipe = z.object({
  name: z.string(),
  note: z.string(),
  /** Null where too much is wrong. */
  content: recipeContent.nullable(),
  notes: z.array(importNote),
});
export type ReadRecipe = z.infer<typeof readRecipe>;

/** What stands where the recipe keeps only that there is a secret, by its field: `options.extra_env.MY_TOKEN`. */
const secrets = z.record(z.string(), z.string().max(8192)).default({});

const idParam = z.object({ id: z.string() });
const versionQuery = z.object({ version: z.coerce.number().int().min(1).optional() });

export const recipeRoutes = {
  listRecipes: defineRoute({
    method: 'GET',
    path: '/admin/recipes',
    access: 'models:write',
    summary: 'List recipes: named, versioned configurations of models',
    response: z.object({ recipes: z.array(recipe) }),
  }),
  createRecipe: defineRoute({
    method: 'POST',
    path: '/admin/recipes',
    access: 'models:write',
    summary: 'Keep a configuration, or that of a model, as the first version of a recipe; secrets are left out',
    body: z.object({ name: recipeName, note: recipeNote.default(''), source }),
    response: recipeDetail,
  }),
  readRecipes: defineRoute({
    method: 'POST',
    path: '/admin/recipes/read',
    access: 'models:write',
    summary: 'Read recipes from the text of a file, of ours or of the Python Cortex; nothing is saved',
    body: z.object({ text: z.string().min(1).max(900_000) }),
    response: z.object({ recipes: z.array(readRecipe) }),
  }),
  getRecipe: defineRoute({
    method: 'GET',
    path: '/admin/recipes/:id',
    access: 'models:write',
    summary: 'One recipe with its versions, and the content of one of them',
    params: idParam,
    query: versionQuery,
    response: recipeDetail,
  }),
  saveRecipe: defineRoute({
    method: 'POST',
    path: '/admin/recipes/:id/versions',
    access: 'models:write',
    summary: 'Save a new version; one that changes nothing is not made',
    params: idParam,
    body: z.object({ version: z.number().int().min(1), note: recipeNote.default(''), source }),
    response: recipeDetail,
  }),
  diffRecipe: defineRoute({
    method: 'GET',
    path: '/admin/recipes/:id/diff',
    access: 'models:write',
    summary: 'What differs between two versions',
    params: idParam,
    query: z.object({ from: z.coerce.number().int().min(1), to: z.coerce.number().int().min(1) }),
    response: z.object({ changes: z.array(fieldChange) }),
  }),
  recipeFile: defineRoute({
    method: 'GET',
    path: '/admin/recipes/:id/file',
    access: 'models:write',
    summary: 'A version as a file (YAML), which names the secrets that are left out',
    params: idParam,
    query: versionQuery,
    response: z.object({ file_name: z.string(), text: z.string() }),
  }),
  applyRecipe: defineRoute({
    method: 'POST',
    path: '/admin/recipes/:id/apply',
    access: 'models:write',
    summary:
      'Give a model the task and the options of a version; its name and folder stay, and secrets that it has already',
    params: idParam,
    body: z.object({
      version: z.number().int().min(1),
      model_id: z.string(),
      /** The version of the model that was read. */
      model_version: z.number().int().min(1),
      secrets,
    }),
    response: z.object({ model }),
  }),
  makeModelOfRecipe: defineRoute({
    method: 'POST',
    path: '/admin/recipes/:id/model',
    access: 'models:write',
    summary: 'Make a model from a version; what is left out is as in the recipe',
    params: idParam,
    body: z.object({
      version: z.number().int().min(1),
      name: modelBase.shape.name.optional(),
      served_name: modelBase.shape.served_name.optional(),
      folder: modelBase.shape.folder.optional(),
      file: z.string().min(1).max(1024).nullable().optional(),
      secrets,
    }),
    response: z.object({ model }),
  }),
  deleteRecipe: defineRoute({
    method: 'DELETE',
    path: '/admin/recipes/:id',
    access: 'models:write',
    summary: 'Delete a recipe with all its versions; models that were made from it stay',
    params: idParam,
    response: z.object({ status: z.literal('deleted') }),
  }),
};
