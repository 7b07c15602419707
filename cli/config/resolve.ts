import type { ModelDocument, RecipeDocument } from '../../contract/config-file/documents.ts';
import type { RecipeContent } from '../../contract/recipes.ts';
import { routes } from '../../contract/routes.ts';
import type { Described } from './read-files.ts';
import type { SignedInCall } from './session.ts';

/** A document as the server is told of it. */
export type Wanted =
  | { readonly at: string; readonly kind: 'Model'; readonly name: string; readonly body: Record<string, unknown> }
  | {
      readonly at: string;
      readonly kind: 'Recipe';
      readonly name: string;
      readonly note: string;
      readonly body: Record<string, unknown>;
    };

type Content = Partial<RecipeContent> | Record<string, unknown>;

const contentOf = ({ apiVersion: _a, kind: _k, name: _n, note: _t, ...content }: RecipeDocument): Content => content;

/** Without what is left to the engine. */
const given = (options: unknown): Record<string, unknown> =>
  Object.fromEntries(Object.entries(Object(options) as Record<string, unknown>).filter(([, value]) => value !== null));

/** The models and recipes that documents describe, each model with what it takes from its recipe. */
export async function resolveDocuments(
  described: readonly Described[],
  call: SignedInCall,
): Promise<{ wanted: Wanted[]; faults: string[] }> {
  const faults: string[] = [];
  const ours = new Map<string, Content>();
  for (const { document } of described) if (document.kind === 'Recipe') ours.set(document.name, contentOf(document));
  const needsServer = described.some(({ document }) => document.kind === 'Model' && document.recipe !== undefined);
  const known = needsServer ? (await call(routes.listRecipes)).recipes : [];

  const recipeOf = async (at: string, { recipe, engine }: ModelDocument): Promise<Content> => {
    if (recipe === undefined) return {};
    const { name, version } = recipe;
    const own = version === undefined ? ours.get(name) : undefined;
    const id = known.find((one) => one.name === name)?.id;
    if (own === undefined && id === undefined) {
      faults.push(`${at}: recipe: there is no recipe '${name}'`);
      return {};
    }
    const query = version === undefined ? {} : { version: String(version) };
    const content = own ?? (await call(routes.getRecipe, { params: { id: id ?? '' }, query })).content;
    if (content.engine === engine) return content;
    faults.push(`${at}: recipe: '${name}' is for ${String(content.engine)}, and the model for ${engine}`);
    return {};
  };

  const wanted: Wanted[] = [];
  for (const { at, document } of described) {
    if (document.kind === 'Recipe') {
      const { name, note = '' } = document;
      wanted.push({ at, kind: 'Recipe', name, note, body: { ...contentOf(document) } });
      continue;
    }
    const { apiVersion: _a, kind: _k, recipe: _r, ...own } = document;
    const base = await recipeOf(at, document);
    const body = {
      ...own,
      name: own.name ?? base.model_name ?? own.served_name,
      task: own.task ?? base.task ?? 'generate',
      folder: own.folder ?? base.folder,
      file: own.file ?? base.file ?? null,
      options: { ...given(base.options), ...given(own.options) },
    };
    wanted.push({ at, kind: 'Model', name: own.served_name, body });
  }
  return { wanted, faults };
}
