import { z } from 'zod';
import { defineRoute } from './route.ts';

/** `org/name`, as hubs call their models. */
const repository = z
  .string()
  .regex(/^\w[\w.-]{0,95}\/\w[\w.-]{0,95}$/, 'A name like org/model')
  .refine((name) => !name.includes('..'), 'A name like org/model');
const revision = z
  .string()
  .regex(/^\w[\w./-]{0,120}$/, 'A branch, a tag or a commit')
  .refine((name) => !name.includes('..'), 'A branch, a tag or a commit');
const folder = z
  .string()
  .max(200)
  .regex(/^\w[\w.+=@-]*(\/\w[\w.+=@-]*){0,2}$/, 'Up to three names with / between, of letters, digits and . _ - + = @');
const filePath = z.string().min(1).max(512);

/** Files of a model that belong together: a quantisation with all its parts, or the safetensors with their configuration. */
export const hubChoice = z.object({
  label: z.string(),
  kind: z.enum(['gguf', 'safetensors']),
  paths: z.array(filePath),
  size_bytes: z.number(),
});
export type HubChoice = z.infer<typeof hubChoice>;

export const download = z.object({
  id: z.string(),
  repository: z.string(),
  /** The commit that all files are of. */
  commit: z.string(),
  licence: z.string().nullable(),
  /** Below the models folder; it appears there when all files are whole. */
  folder: z.string(),
  state: z.enum(['downloading', 'done', 'cancelled', 'failed']),
  username: z.string(),
  started_at: z.iso.datetime(),
  ended_at: z.iso.datetime().nullable(),
  error: z.object({ message: z.string(), hint: z.string() }).nullable(),
  files: z.array(z.object({ path: z.string(), size_bytes: z.number(), done_bytes: z.number() })),
  done_bytes: z.number(),
  total_bytes: z.number(),
  bytes_per_second: z.number().nullable(),
  seconds_left: z.number().nullable(),
});
export type Download = z.infer<typeof download>;

const idParam = z.object({ id: z.string() });

export const downloadRoutes = {
  listDownloads: defineRoute({
    method: 'GET',
    path: '/admin/downloads',
    access: 'models:write',
    summary: 'Downloads of models from the hub, newest first, with bytes, rate and time left',
    response: z.object({
      downloads: z.array(download),
      endpoint: z.string(),
      /** Offline mode, set or detected: nothing is asked of the hub. */
      offline: z.boolean(),
      /** Whether one is kept; it is never shown. */
      has_token: z.boolean(),
    }),
  }),
  lookAtHub: defineRoute({
    method: 'POST',
    path: '/admin/downloads/look',
    access: 'models:write',
    summary: 'Ask the hub which commit a revision is, and which files there are to choose from',
    body: z.object({ repository, revision: revision.default('main') }),
    response: z.object({
      repository: z.string(),
      commit: z.string(),
      licence: z.string().nullable(),
      choices: z.array(hubChoice),
      free_bytes: z.number(),
    }),
  }),
  startDownload: defineRoute({
    method: 'POST',
    path: '/admin/downloads',
    access: 'models:write',
    summary: 'Download files of a model, all of one commit, into a new folder below the models folder',
    body: z.object({
      repository,
      revision: revision.default('main'),
      folder,
      paths: z.array(filePath).min(1).max(1000),
    }),
    response: z.object({ download }),
  }),
  cancelDownload: defineRoute({
    method: 'POST',
    path: '/admin/downloads/:id/cancel',
    access: 'models:write',
    summary: 'Stop a download; what came so far is kept to go on from',
    params: idParam,
    response: z.object({ download }),
  }),
  resumeDownload: defineRoute({
    method: 'POST',
    path: '/admin/downloads/:id/resume',
    access: 'models:write',
    summary: 'Go on with a download that was cancelled or failed, at the byte where it stopped',
    params: idParam,
    response: z.object({ download }),
  }),
  deleteDownload: defineRoute({
    method: 'DELETE',
    path: '/admin/downloads/:id',
    access: 'models:write',
    summary: 'Remove a download from the list, with its partial files; a folder that is whole stays',
    params: idParam,
    response: z.object({ status: z.literal('deleted') }),
  }),
  setHubToken: defineRoute({
    method: 'POST',
    path: '/admin/downloads/token',
    access: 'models:write',
    summary: 'Keep a token for gated models, sealed and never shown again; null removes it',
    body: z.object({
      token: z
        .string()
        .regex(/^[\x21-\x7e]{1,512}$/, 'Letters, digits and signs without spaces')
        .nullable(),
    }),
    response: z.object({ has_token: z.boolean() }),
  }),
};
