import { z } from 'zod';
import { llamacppOptions, vllmOptions } from '../engine-options/schema.ts';
import { modelBase, replicas, task } from '../models.ts';
import { onDemandSettings } from '../on-demand.ts';
import { recipeName, recipeNote } from '../recipes.ts';

/** The format of the files that describe models and recipes. */
export const apiVersion = 'cortex/v1';

/** Where a secret is read from, so that it need not stand in the file. */
export const secretReference = z.union([
  z.strictObject({ from_env: z.string().min(1).describe('The variable of the environment that holds it') }),
  z.strictObject({ from_file: z.string().min(1).describe('The file that holds it, seen from the file that names it') }),
]);

const words = z.array(z.union([z.string().min(1).max(8192), secretReference])).max(256);
const variables = z.record(z.string(), z.union([z.string().max(8192), secretReference]));

/** The options of an engine, all of which may be left out; secrets may be references. */
function documentOptions(options: z.ZodObject<Record<string, z.ZodDefault<z.ZodType>>>) {
  const fields = Object.entries(options.shape).map(([name, field]) => {
    const optional = field.unwrap().optional();
    return [name, field.description === undefined ? optional : optional.describe(field.description)] as const;
  });
  return z.strictObject({
    ...Object.fromEntries(fields),
    extra_args: words.optional(),
    extra_env: variables.optional(),
  });
}

const head = { apiVersion: z.literal(apiVersion).default(apiVersion) };
const place = {
  task: task.optional(),
  folder: modelBase.shape.folder.nullable().optional().describe('Folder below the models folder'),
  file: z.string().min(1).max(1024).nullable().optional().describe('The .gguf file in it, of llama.cpp'),
};
const byEngine = {
  llamacpp: { engine: z.literal('llamacpp'), options: documentOptions(llamacppOptions).optional() },
  vllm: { engine: z.literal('vllm'), options: documentOptions(vllmOptions).optional() },
};

const modelFields = {
  ...head,
  kind: z.literal('Model'),
  served_name: modelBase.shape.served_name.describe('What clients send as "model"; it tells the models apart'),
  name: modelBase.shape.name.optional().describe('As people see it; left out, the served name'),
  ...place,
  recipe: z
    .strictObject({ name: recipeName, version: z.number().int().min(1).optional() })
    .optional()
    .describe('A recipe whose options count where this document gives none; without a version its newest'),
  replicas: replicas.optional().describe('How many engines serve it; left out, one'),
  on_demand: onDemandSettings
    .nullable()
    .optional()
    .describe('Its first request loads it; null is not so any more, left out is as before'),
  wanted: z.enum(['running', 'stopped']).optional().describe('Left out, it runs or not as before'),
};
const recipeFields = {
  ...head,
  kind: z.literal('Recipe'),
  name: recipeName,
  note: recipeNote.optional().describe('Of the version that this document makes'),
  ...place,
  model_name: modelBase.shape.name.nullable().optional(),
  served_name: modelBase.shape.served_name.nullable().optional(),
};

const modelDocument = z.discriminatedUnion('engine', [
  z.strictObject({ ...modelFields, ...byEngine.llamacpp }),
  z.strictObject({ ...modelFields, ...byEngine.vllm }),
]);
export type ModelDocument = z.infer<typeof modelDocument>;
const recipeDocument = z.discriminatedUnion('engine', [
  z.strictObject({ ...recipeFields, ...byEngine.llamacpp }),
  z.strictObject({ ...recipeFields, ...byEngine.vllm }),
]);
export type RecipeDocument = z.infer<typeof recipeDocument>;

/** One document of a file. What it is, its `kind` tells. */
export const configDocument = z.discriminatedUnion('kind', [modelDocument, recipeDocument]);
export type ConfigDocument = z.infer<typeof configDocument>;
