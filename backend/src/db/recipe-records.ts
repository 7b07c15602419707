import type { Kysely } from 'kysely';
import { z } from 'zod';
import { CortexError } from '../../../contract/errors.ts';
import { type RecipeContent, recipeContent } from '../../../contract/recipes.ts';
import { newId } from './ids.ts';
import { isUniqueViolation } from './open.ts';
import type { Database, Executor } from './schema.ts';

const row = z
  .object({
    id: z.string(),
    name: z.string(),
    version: z.number(),
    at: z.date(),
    username: z.string(),
    note: z.string(),
    content: recipeContent,
  })
  .transform(({ at, ...rest }) => ({ ...rest, at: at.toISOString() }));
/** One version of a recipe. */
export type RecipeRecord = z.output<typeof row>;

export interface NewVersion {
  readonly username: string;
  readonly note: string;
  readonly content: RecipeContent;
}

const versions = (db: Executor) =>
  db
    .selectFrom('recipes')
    .innerJoin('recipe_versions', 'recipe_versions.recipe_id', 'recipes.id')
    .select(['id', 'name', 'version', 'at', 'username', 'note', 'content']);

/** The newest version of each recipe, by name. */
export async function listRecipes(db: Executor): Promise<RecipeRecord[]> {
  const rows = await versions(db)
    .distinctOn('recipes.name')
    .orderBy('recipes.name')
    .orderBy('version', 'desc')
    .execute();
  return rows.map((stored) => row.parse(stored));
}

/** Every version of a recipe, newest first; none where there is no such recipe. */
export async function recipeVersions(db: Executor, id: string): Promise<RecipeRecord[]> {
  const rows = await versions(db).where('id', '=', id).orderBy('version', 'desc').execute();
  return rows.map((stored) => row.parse(stored));
}

/** @throws CortexError conflict where another recipe has the name */
export async function insertRecipe(db: Kysely<Database>, name: string, first: NewVersion): Promise<string> {
  const id = newId('rcp');
  try {
    await db.transaction().execute(async (tx) => {
      await tx.insertInto('recipes').values({ id, name }).execute();
      await insertVersion(tx, id, 1, first);
    });
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    const detail = `Another recipe is called '${name}'.`;
    throw new CortexError('conflict', { detail }, { cause: error, param: 'name' });
  }
  return id;
}

/** Tells whether it was written: another one of the same number may have come first. */
export async function insertVersion(
  db: Executor,
  id: string,
  version: number,
  { username, note, content }: NewVersion,
): Promise<boolean> {
  const written = await db
    .insertInto('recipe_versions')
    .values({ recipe_id: id, version, at: new Date(), username, note, content: JSON.stringify(content) })
    .onConflict((conflict) => conflict.columns(['recipe_id', 'version']).doNothing())
    .executeTakeFirst();
  return written.numInsertedOrUpdatedRows === 1n;
}

/** Tells whether there was one. */
export async function deleteRecipe(db: Executor, id: string): Promise<boolean> {
  const result = await db.deleteFrom('recipes').where('id', '=', id).executeTakeFirst();
  return result.numDeletedRows > 0n;
}
