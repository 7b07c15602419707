import { CortexError } from '../../../contract/errors.ts';
import type { Me } from '../../../contract/identity.ts';
import type { ImagePull } from '../../../contract/image-pulls.ts';
import type { ModelCheck } from '../../../contract/model-check.ts';
import type { ModelEdit } from '../../../contract/model-edit.ts';
import type { LogPiece } from '../../../contract/model-logs.ts';
import type {
  FolderInspection,
  FolderList,
  LaunchPlan,
  Model,
  ModelDraft,
  ModelEvent,
  NewModel,
} from '../../../contract/models.ts';
import { rightsOf } from '../../../contract/rights.ts';
import type { RouteResponse, Routes } from '../../../contract/routes.ts';
import type { ImageReadiness } from '../../../contract/system.ts';
import type { SessionRecord } from '../db/identity-records.ts';
import type { Inspector } from '../gateway/inspector.ts';
import type { Identity } from '../identity/identity.ts';
import type { Benchmarks } from '../jobs/benchmarks.ts';
import type { Downloads } from '../jobs/downloads.ts';
import type { OnDemand } from '../models/on-demand.ts';
import type { Recipes } from '../models/recipes.ts';
import type { Rules } from '../rules/rules.ts';
import type { SystemStatus } from '../system/system-status.ts';
import type { UsageAnalytics } from '../usage/analytics.ts';
import { csvExport, ndjsonExport, type PageReader } from '../usage/export.ts';
import { checkOrder } from '../usage/range.ts';
import { benchmarkHandlers } from './benchmark-handlers.ts';
import { downloadHandlers } from './download-handlers.ts';
import type { Handlers } from './handler.ts';
import { recipeHandlers } from './recipe-handlers.ts';
import { endedSessionCookie, sessionCookie } from './session-cookie.ts';

/** What a client of the model events hears. */
export type ModelChange = { readonly model: Model } | { readonly event: ModelEvent } | { readonly deleted: string };

/** The part of models/ that routes call. Each rejects with a CortexError for people. */
export interface ModelOperations {
  list(): Promise<Model[]>;
  get(id: string): Promise<Model>;
  create(model: NewModel): Promise<Model>;
  update(id: string, edit: ModelEdit, username: string): Promise<Model>;
  plan(draft: ModelDraft): Promise<LaunchPlan>;
  delete(id: string): Promise<void>;
  start(id: string): Promise<Model>;
  stop(id: string): Promise<Model>;
  logs(id: string, tail: number): Promise<string[]>;
  followLog(id: string, replica: number, tail: number, signal: AbortSignal): AsyncIterable<LogPiece>;
  wholeLog(id: string, replica: number): AsyncIterable<string>;
  memory(id: string): Promise<RouteResponse<Routes['modelMemory']>>;
  gpus(): Promise<RouteResponse<Routes['listGpus']>>;
  changes(signal: AbortSignal): AsyncIterable<ModelChange>;
  listFolders(): Promise<FolderList>;
  inspectFolder(folder: string): Promise<FolderInspection>;
}

/** The part of the image gate that routes call. */
export interface ImagePullOperations {
  pulls(): ImagePull[];
  cancel(image: string): boolean;
}

export interface HandlerParts {
  readonly identity: Identity;
  readonly models: ModelOperations;
  readonly onDemand: Pick<OnDemand, 'get' | 'set'>;
  readonly recipes: Recipes;
  readonly downloads: Downloads;
  readonly checkModel: (model: Model) => Promise<ModelCheck>;
  readonly benchmarks: Benchmarks;
  readonly gate: ImagePullOperations;
  readonly rules: Rules;
  readonly inspector: Inspector;
  readonly system: SystemStatus;
  readonly usage: { readonly page: PageReader; readonly analytics: UsageAnalytics };
  readonly imageReadiness: () => Promise<ImageReadiness>;
  readonly version: string;
  readonly offlineMode: () => Promise<boolean> | boolean;
  readonly sessionTtlSeconds: number;
}

const ok = { status: 'ok' } as const;

/** Every route's handler: a few lines over the parts. */
export function createHandlers(parts: HandlerParts): Handlers {
  const { identity, models, gate, rules, inspector, system, usage } = parts;

  const meOf = async (session: SessionRecord): Promise<Me> => ({
    user: {
      id: session.user.id,
      username: session.user.username,
      role: session.user.role,
      must_change_password: session.user.mustChangePassword,
    },
    rights: [...rightsOf[session.user.role]],
    version: parts.version,
    offline_mode: await parts.offlineMode(),
  });

  return {
    login: async ({ body }, context) => {
      const { token, session } = await identity.login(body.username, body.password, context.address);
      context.setCookie(sessionCookie(token, parts.sessionTtlSeconds));
      return meOf(session);
    },
    logout: async (_request, context) => {
      await identity.logout(context.session);
      context.setCookie(endedSessionCookie);
      return ok;
    },
    me: (_request, context) => meOf(context.session),
    changePassword: async ({ body }, context) => {
      await identity.changePassword(context.session, body.current, body.next);
      return ok;
    },
    bootstrap: ({ body }) => identity.bootstrap(body.username, body.organization),

    listKeys: async () => ({ keys: await identity.listKeys() }),
    createKey: ({ body }, context) => identity.createKey(context.session, body),
    revokeKey: async ({ params }) => ({ key: await identity.revokeKey(params.id) }),

    listModels: async () => ({ models: await models.list() }),
    createModel: async ({ body }) => ({ model: await models.create(body) }),
    updateModel: async ({ params, body }, { session }) => ({
      model: await models.update(params.id, body, session.user.username),
    }),
    planModel: ({ body }) => models.plan(body),
    getOnDemand: async ({ params }) => ({ on_demand: await parts.onDemand.get(params.id) }),
    setOnDemand: async ({ params, body }) => ({ on_demand: await parts.onDemand.set(params.id, body.on_demand) }),
    getModel: async ({ params }) => ({ model: await models.get(params.id) }),
    deleteModel: async ({ params }) => {
      await models.delete(params.id);
      return { status: 'deleted' };
    },
    startModel: async ({ params }) => ({ model: await models.start(params.id) }),
    stopModel: async ({ params }) => ({ model: await models.stop(params.id) }),
    modelLogs: async ({ params, query }) => ({ lines: await models.logs(params.id, query.tail) }),
    followModelLogs: ({ params, query }, { signal }) => models.followLog(params.id, query.replica, query.tail, signal),
    downloadModelLogs: ({ params, query }) => models.wholeLog(params.id, query.replica),
    modelMemory: ({ params }) => models.memory(params.id),
    checkModel: async ({ params }) => ({ check: await parts.checkModel(await models.get(params.id)) }),
    listGpus: () => models.gpus(),
    modelEvents: (_request, context) => models.changes(context.signal),
    listFolders: () => models.listFolders(),
    inspectFolder: ({ query }) => models.inspectFolder(query.folder),

    ...recipeHandlers(parts.recipes),
    ...downloadHandlers(parts.downloads),
    ...benchmarkHandlers(parts.benchmarks),
    listImagePulls: async () => ({ pulls: gate.pulls() }),
    cancelImagePull: async ({ body }) => {
      if (!gate.cancel(body.image)) throw new CortexError('not_found', { what: 'image pull', id: body.image });
      return { status: 'cancelled' };
    },

    getRouting: () => rules.all(),
    setAlias: async ({ body }) => {
      await rules.setAlias(body);
      return ok;
    },
    deleteAlias: async ({ params }) => {
      await rules.deleteAlias(params.name);
      return ok;
    },
    createEndpoint: async ({ body }) => ({ endpoint: await rules.createEndpoint(body) }),
    updateEndpoint: async ({ params, body }) => ({ endpoint: await rules.updateEndpoint(params.id, body) }),
    deleteEndpoint: async ({ params }) => {
      await rules.deleteEndpoint(params.id);
      return ok;
    },
    setServing: async ({ body }) => {
      await rules.setServing(body.served_name, body.settings);
      return ok;
    },
    listLimits: async () => ({ subjects: await rules.limitedSubjects() }),
    setLimit: async ({ body }) => {
      await rules.setLimit(body);
      return ok;
    },

    getInspector: async () => inspector.state(),
    startInspector: async ({ body }, context) => ({
      inspection: inspector.start(body, context.session.user.username),
    }),
    stopInspector: async () => {
      inspector.stop();
      return ok;
    },
    inspectedRequest: async ({ params }) => inspector.request(params.request_id),

    health: () => system.health(),
    dockerImages: () => parts.imageReadiness(),
    systemSummary: () => system.summary(),

    listUsage: async ({ query }) => {
      checkOrder(query);
      const { records, next_cursor } = await usage.page(query);
      return { records: [...records], next_cursor };
    },
    exportUsageCsv: ({ query }) => {
      checkOrder(query);
      return csvExport(usage.page, query);
    },
    exportUsageNdjson: ({ query }) => {
      checkOrder(query);
      return ndjsonExport(usage.page, query);
    },
    usageSeries: ({ query }) => usage.analytics.series(query),
    usageSummary: ({ query }) => usage.analytics.summary(query),
  };
}
