import { z } from 'zod';
import { cause } from './diagnosis.ts';
import { llamacppOptions, vllmOptions } from './engine-options/schema.ts';
import { memoryPlan } from './memory.ts';
import { modelSource } from './model-source.ts';
import { defineRoute } from './route.ts';

export const engine = z.enum(['llamacpp', 'vllm']);
export type Engine = z.infer<typeof engine>;

export const task = z.enum(['generate', 'embed']);
export type Task = z.infer<typeof task>;

/**
 * What was observed of a model. `pulling`: its image is fetched; `starting`: its container is being made, or made again after a pause; `loading`: the engine runs and reads the weights;
 * `unhealthy`: it was ready and does not answer now.
 */
export const modelState = z.enum([
  'stopped',
  'pulling',
  'starting',
  'loading',
  'ready',
  'unhealthy',
  'stopping',
  'failed',
]);
export type ModelState = z.infer<typeof modelState>;

/** A name that clients send as `model`. */
export const servedName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/, 'letters, digits and . _ : / - only, starting with a letter or digit');

export type LlamacppOptions = z.infer<typeof llamacppOptions>;
export type VllmOptions = z.infer<typeof vllmOptions>;

/** More engines of one model than anybody runs on one machine. */
export const mostReplicas = 16;
export const replicas = z.number().int().min(1).max(mostReplicas);

export const modelBase = z.object({
  name: z.string().trim().min(1).max(128),
  served_name: servedName,
  task: task.default('generate'),
  /** Folder below CORTEX_MODELS_DIR, with / between names. */
  folder: z.string().min(1).max(1024),
  /** How many engines serve it, each with memory of its own. */
  replicas: replicas.default(1),
});
/** A model to be made from a local folder. `file` is the .gguf file inside the folder (the first part of a set). */
export const newModel = z.discriminatedUnion('engine', [
  modelBase.extend({
    engine: z.literal('llamacpp'),
    file: z.string().min(1).max(1024),
    options: llamacppOptions.strict().prefault({}),
  }),
  modelBase.extend({
    engine: z.literal('vllm'),
    file: z.null().default(null),
    options: vllmOptions.strict().prefault({}),
  }),
]);
export type NewModel = z.infer<typeof newModel>;

/** A model as somebody begins to describe it: the fields of a new model, not checked yet. */
export const modelDraft = z.object({
  engine,
  /** Of the model that it shall become, where there is one already. */
  id: z.string().optional(),
  name: z.unknown().optional(),
  served_name: z.unknown().optional(),
  task: z.unknown().optional(),
  folder: z.unknown().optional(),
  replicas: z.unknown().optional(),
  file: z.unknown().optional(),
  options: z.record(z.string(), z.unknown()).default({}),
});
export type ModelDraft = z.infer<typeof modelDraft>;

/** One engine of a model. */
export const replicaState = z.object({
  replica: z.number().int(),
  state: modelState,
  reason: z.string().nullable(),
});
export type ReplicaState = z.infer<typeof replicaState>;

export const model = z.object({
  id: z.string(),
  name: z.string(),
  served_name: z.string(),
  engine,
  task,
  folder: z.string(),
  file: z.string().nullable(),
  options: z.union([llamacppOptions.strict(), vllmOptions.strict()]),
  image: z.string(),
  replicas,
  /** Each engine by itself, those among them that are on their way out. */
  replica_states: z.array(replicaState),
  wanted: z.enum(['running', 'stopped']),
  state: modelState,
  /** Why it is in this state, in words: `not enough GPU memory`. */
  reason: z.string().nullable(),
  /** What to do about it, when there is something to do. */
  hint: z.string().nullable(),
  /** What its engine's log shows of the reason, where it shows something. */
  cause: cause.nullable(),
  /** Since when it has been in this state. */
  since: z.iso.datetime(),
  created_at: z.iso.datetime(),
  /** Counts its changes; an edit names the one that it was made from. */
  version: z.number().int(),
});
export type Model = z.infer<typeof model>;

/** One model that a folder offers. */
export const candidate = z.object({
  engine,
  task,
  file: z.string().nullable(),
  label: z.string(),
  sizeBytes: z.number().int(),
  parts: z.number().int(),
  architecture: z.string().nullable(),
  context_length: z.number().int().nullable(),
  quantization: z.string().nullable(),
  /** The engine that does not run it, and why. */
  not_for: z.object({ engine, reason: z.string() }),
  /** What may go wrong with it, or is to be known of it; nothing here stops a start. */
  warnings: z.array(z.string()),
});
export type Candidate = z.infer<typeof candidate>;

export const folderSummary = z.object({
  folder: z.string(),
  /** Of its weights. */
  sizeBytes: z.number().int(),
  formats: z.array(z.enum(['gguf', 'safetensors'])),
  /** Served names of models that already use it. */
  used_by: z.array(z.string()),
});
export type FolderSummary = z.infer<typeof folderSummary>;

export const folderList = z.object({
  root: z.string(),
  folders: z.array(folderSummary),
  /** What was not looked at, and which bound stopped it; empty where everything was. */
  incomplete: z.array(z.string()),
});
export type FolderList = z.infer<typeof folderList>;

const fileRemark = z.object({ file: z.string().nullable(), message: z.string() });
export type FileRemark = z.infer<typeof fileRemark>;

export const folderInspection = z.object({
  folder: z.string(),
  candidates: z.array(candidate),
  /** What is in the folder but can't be served, or lacks something, and why. */
  problems: z.array(fileRemark),
  /** What is in the folder and is no fault: a projector, an adapter, a second copy of the weights. */
  notes: z.array(fileRemark),
  files: z.array(z.object({ name: z.string(), sizeBytes: z.number().int() })),
  /** The licence's text was found under this name. */
  license_file: z.string().nullable(),
  /** The licence by its short name: `apache-2.0`. */
  license: z.string().nullable(),
  /** Where the model came from, where the folder tells it. */
  source: modelSource.pick({ repository: true, revision: true }).nullable(),
});
export type FolderInspection = z.infer<typeof folderInspection>;

/** One line of a start's story: what is being done, or a line that the engine wrote. */
export const modelEvent = z.object({
  model_id: z.string(),
  at: z.iso.datetime(),
  kind: z.enum(['state', 'step']),
  state: modelState,
  text: z.string(),
});
export type ModelEvent = z.infer<typeof modelEvent>;

/** Something that stands against a start: where, and what to do about it. */
export const planIssue = z.object({
  /** The field: `options.max_model_len`; null where it is no field's. */
  param: z.string().nullable(),
  message: z.string(),
  hint: z.string().nullable(),
});
export type PlanIssue = z.infer<typeof planIssue>;

/** The exact container of a model, secrets left out, and everything that was found wrong. */
export const launchPlan = z.object({
  issues: z.array(planIssue),
  image: z.string(),
  image_cached: z.boolean(),
  /** The engine's version as its image tells it, or else as the image's name does. */
  engine_version: z.string().nullable(),
  /** Whether the image was asked which options it has. */
  image_asked: z.boolean(),
  /** Empty where too much is wrong to tell. */
  env: z.array(z.string()),
  command: z.array(z.string()),
  mounts: z.array(z.string()),
  network: z.string(),
  gpus: z.boolean(),
  /** Whether its engine has to start anew, of a draft for a model that is there. */
  restarts: z.boolean(),
  /** Where its memory goes; null where its files don't tell. */
  memory: memoryPlan.nullable(),
});
export type LaunchPlan = z.infer<typeof launchPlan>;

const idParam = z.object({ id: z.string() });
const one = z.object({ model });

export const modelRoutes = {
  listModels: defineRoute({
    method: 'GET',
    path: '/admin/models',
    access: 'models:read',
    summary: 'List models with their observed state',
    response: z.object({ models: z.array(model) }),
  }),
  createModel: defineRoute({
    method: 'POST',
    path: '/admin/models',
    access: 'models:write',
    summary: 'Make a model from a local folder',
    body: newModel,
    response: one,
  }),
  planModel: defineRoute({
    method: 'POST',
    path: '/admin/models/plan',
    access: 'models:write',
    summary: 'The exact container of a model that is not made yet, and all that is wrong with it; it refuses nothing',
    body: modelDraft,
    response: launchPlan,
  }),
  getModel: defineRoute({
    method: 'GET',
    path: '/admin/models/:id',
    access: 'models:read',
    summary: 'One model',
    params: idParam,
    response: one,
  }),
  deleteModel: defineRoute({
    method: 'DELETE',
    path: '/admin/models/:id',
    access: 'models:write',
    summary: "Delete a model's record; its files stay",
    params: idParam,
    response: z.object({ status: z.literal('deleted') }),
  }),
  startModel: defineRoute({
    method: 'POST',
    path: '/admin/models/:id/start',
    access: 'models:write',
    summary: 'Ask for it to run; refused at once where its image is not there and may not be pulled',
    params: idParam,
    response: one,
  }),
  stopModel: defineRoute({
    method: 'POST',
    path: '/admin/models/:id/stop',
    access: 'models:write',
    summary: 'Ask for it to stop',
    params: idParam,
    response: one,
  }),
  modelLogs: defineRoute({
    method: 'GET',
    path: '/admin/models/:id/logs',
    access: 'models:read',
    summary: "The engine's log, newest last",
    params: idParam,
    query: z.object({ tail: z.coerce.number().int().min(1).max(10_000).default(500) }),
    response: z.object({ lines: z.array(z.string()) }),
  }),
  modelEvents: defineRoute({
    method: 'GET',
    path: '/admin/models/events',
    access: 'models:read',
    summary: 'Server-sent events: each model that changed',
    kind: 'stream',
    response: z.union([z.object({ model }), z.object({ event: modelEvent }), z.object({ deleted: z.string() })]),
  }),
  listFolders: defineRoute({
    method: 'GET',
    path: '/admin/folders',
    access: 'models:write',
    summary: 'Folders below CORTEX_MODELS_DIR',
    response: folderList,
  }),
  inspectFolder: defineRoute({
    method: 'GET',
    path: '/admin/folders/inspect',
    access: 'models:write',
    summary: 'What a folder holds and which engine can run it',
    query: z.object({ folder: z.string() }),
    response: folderInspection,
  }),
};
