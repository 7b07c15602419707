import type { ConfigurationChange } from '../../contract/configuration.ts';
import { newModel } from '../../contract/models.ts';
import { onDemandSettings } from '../../contract/on-demand.ts';
import { recipeContent } from '../../contract/recipes.ts';
import { routes } from '../../contract/routes.ts';
import type { Wanted } from './resolve.ts';
import type { SignedInCall } from './session.ts';

/** Makes one change so, with as many calls as it takes; each of them may be refused. */
export async function carryOut(change: ConfigurationChange, wanted: Wanted | undefined, call: SignedInCall) {
  const { kind, action, version } = change;
  const params = { id: change.id ?? '' };
  if (action === 'unchanged') return;
  if (action === 'delete') {
    await (kind === 'Model' ? call(routes.deleteModel, { params }) : call(routes.deleteRecipe, { params }));
    return;
  }
  if (wanted === undefined) throw new Error(`The server speaks of ${kind} ${change.name}, which no file describes.`);
  if (wanted.kind === 'Recipe') {
    const body = { note: wanted.note, source: { content: recipeContent.parse(wanted.body) } };
    if (action === 'create') await call(routes.createRecipe, { body: { ...body, name: wanted.name } });
    else await call(routes.saveRecipe, { params, body: { ...body, version } });
    return;
  }
  const model = newModel.parse(wanted.body);
  const changeOf = (name: string) => change.fields.find(({ field }) => field === name);
  const onDemand = changeOf('on_demand');
  const run = changeOf('wanted')?.after;
  let { id } = params;
  if (action === 'create') id = (await call(routes.createModel, { body: model })).model.id;
  else if (change.fields.some(({ field }) => field !== 'wanted' && field !== 'on_demand')) {
    const { engine: _, ...fields } = model;
    await call(routes.updateModel, { params, body: { ...fields, version } });
  }
  if (onDemand !== undefined) {
    const body = { on_demand: onDemandSettings.nullable().parse(onDemand.after) };
    await call(routes.setOnDemand, { params: { id }, body });
  }
  if (run === 'running') await call(routes.startModel, { params: { id } });
  if (run === 'stopped') await call(routes.stopModel, { params: { id } });
}
