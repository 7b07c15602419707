import { z } from 'zod';
import { planIssue } from './models.ts';
import { fieldChange } from './recipes.ts';
import { defineRoute } from './route.ts';

const mostDocuments = 500;

/** What becomes of one model or recipe when a file is applied. */
export const configurationChange = z.object({
  kind: z.enum(['Model', 'Recipe']),
  /** The served name of a model, the name of a recipe. */
  name: z.string(),
  action: z.enum(['create', 'update', 'delete', 'unchanged']),
  /** Of what is there; null where it is made. */
  id: z.string().nullable(),
  version: z.number().int().nullable(),
  fields: z.array(fieldChange),
  /** Whether an engine that runs has to start anew. */
  restarts: z.boolean(),
  /** What stands against it. */
  issues: z.array(planIssue),
});
export type ConfigurationChange = z.infer<typeof configurationChange>;

const described = z.record(z.string(), z.unknown());

export const configurationRoutes = {
  diffConfiguration: defineRoute({
    method: 'POST',
    path: '/admin/configuration/diff',
    access: 'models:write',
    summary:
      'What a description of models and recipes would change, and all that stands against it; nothing is changed',
    body: z.object({
      /** As new models, each with `wanted` where it is to run or not, and with `on_demand` where that is said. */
      models: z.array(described).max(mostDocuments).default([]),
      recipes: z
        .array(z.object({ name: z.string(), content: described }))
        .max(mostDocuments)
        .default([]),
      /** Whether what the description does not name goes. Of a kind that it names none of, nothing goes. */
      prune: z.boolean().default(false),
    }),
    response: z.object({ changes: z.array(configurationChange) }),
  }),
};
