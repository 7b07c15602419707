import { z } from 'zod';
import { model, modelBase, replicas, task } from './models.ts';
import { defineRoute } from './route.ts';

const { name, served_name, folder } = modelBase.shape;

/** A change of a model: what is left out stays. The engine of a model can't change. */
export const modelEdit = z.strictObject({
  /** The version that was read: if somebody changed the model since, the change is refused. */
  version: z.number().int().min(1),
  name: name.optional(),
  served_name: served_name.optional(),
  task: task.optional(),
  folder: folder.optional(),
  replicas: replicas.optional(),
  file: z.string().min(1).max(1024).nullable().optional(),
  /** Single options; null gives one back to the engine. A secret that comes back hidden keeps its value. */
  options: z.record(z.string(), z.unknown()).optional(),
});
export type ModelEdit = z.infer<typeof modelEdit>;

export const modelEditRoutes = {
  updateModel: defineRoute({
    method: 'PATCH',
    path: '/admin/models/:id',
    access: 'models:write',
    summary: 'Change a model; a running one restarts where its engine has to be told',
    params: z.object({ id: z.string() }),
    body: modelEdit,
    response: z.object({ model }),
  }),
};
