import { readRecipes } from '../../../contract/config-file/recipes.ts';
import type { configurationRoutes } from '../../../contract/configuration.ts';
import type { recipeRoutes } from '../../../contract/recipes.ts';
import type { Recipes } from '../models/recipes.ts';
import type { Handlers } from './handler.ts';

/** The handlers of the recipes' routes, and of what describes models and recipes together. */
export function recipeHandlers(
  recipes: Recipes,
): Pick<Handlers, keyof typeof recipeRoutes | keyof typeof configurationRoutes> {
  return {
    listRecipes: async () => ({ recipes: await recipes.list() }),
    createRecipe: ({ body }, { session }) => recipes.create(body.name, body.note, body.source, session.user.username),
    readRecipes: async ({ body }) => ({ recipes: readRecipes(body.text) }),
    getRecipe: ({ params, query }) => recipes.get(params.id, query.version),
    saveRecipe: ({ params, body }, { session }) =>
      recipes.save(params.id, body.version, body.note, body.source, session.user.username),
    diffRecipe: async ({ params, query }) => ({ changes: await recipes.diff(params.id, query.from, query.to) }),
    recipeFile: ({ params, query }) => recipes.file(params.id, query.version),
    applyRecipe: async ({ params, body }, { session }) => ({
      model: await recipes.apply(params.id, body, body.model_id, body.model_version, session.user.username),
    }),
    makeModelOfRecipe: async ({ params, body }) => ({ model: await recipes.makeModel(params.id, body, body) }),
    diffConfiguration: async ({ body }) => ({ changes: await recipes.diffConfiguration(body) }),
    deleteRecipe: async ({ params }, { session }) => {
      await recipes.delete(params.id, session.user.username);
      return { status: 'deleted' };
    },
  };
}
