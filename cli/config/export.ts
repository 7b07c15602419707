import { writeFile } from 'node:fs/promises';
import { modelText, recipeText } from '../../contract/config-file/text.ts';
import { CortexError } from '../../contract/errors.ts';
import { routes } from '../../contract/routes.ts';
import { type SessionFlags, withSession } from './session.ts';

export interface ExportFlags extends SessionFlags {
  readonly output?: string;
  readonly recipes?: boolean;
}

/** Every model and recipe as a file that changes nothing when it is applied. */
export async function exportAll(flags: ExportFlags): Promise<void> {
  const text = await withSession(flags, async (call) => {
    const { models } = await call(routes.listModels);
    const texts: string[] = [];
    for (const model of models)
      texts.push(modelText(model, (await call(routes.getOnDemand, { params: { id: model.id } })).on_demand));
    for (const { id } of flags.recipes === false ? [] : (await call(routes.listRecipes)).recipes) {
      const { recipe, content, versions } = await call(routes.getRecipe, { params: { id } });
      texts.push(recipeText({ name: recipe.name, note: versions[0]?.note ?? '', content }));
    }
    return texts.join('---\n');
  });
  const { output } = flags;
  if (output === undefined) process.stdout.write(text);
  else
    await writeFile(output, text).catch((cause: unknown) => {
      throw new CortexError('file_unusable', { file: output, reason: String(Object(cause).code ?? cause) }, { cause });
    });
}
