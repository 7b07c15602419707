import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Kysely } from 'kysely';
import { CortexError } from '../../../contract/errors.ts';
import type { ModelEdit } from '../../../contract/model-edit.ts';
import type { LogPiece } from '../../../contract/model-logs.ts';
import type {
  Engine,
  FolderInspection,
  FolderList,
  LaunchPlan,
  Model,
  ModelDraft,
  ModelEvent,
  ModelState,
  NewModel,
} from '../../../contract/models.ts';
import type { RouteResponse, Routes } from '../../../contract/routes.ts';
import type { Config } from '../config.ts';
import { refuseStale, updateModel } from '../db/model-changes.ts';
import { ModelList } from '../db/model-list.ts';
import { deleteModel, findModel, insertModel, type ModelRecord, setWanted } from '../db/model-records.ts';
import type { Database } from '../db/schema.ts';
import { versionInName } from '../engines/help.ts';
import { weightBytes } from '../engines/memory/shape.ts';
import type { RoutingTable } from '../routing/table.ts';
import { ChangeFeed } from './change-feed.ts';
import { factsOfName, needsNewContainer } from './container-spec.ts';
import { editedModel, modelDifferences, readModel } from './edit.ts';
import type { EngineHealth } from './engine-look.ts';
import type { EngineRoom } from './engine-room/room.ts';
import { resolveFolder } from './folder-files.ts';
import { FolderOffers } from './folder-offers.ts';
import { listModelFolders } from './folder-walk.ts';
import { inspectModelFolder } from './folders.ts';
import type { ImageGate } from './image-gate.ts';
import { followLog, type LogQuestion, secretsOf, tailOfLog, wholeLog } from './model-logs.ts';
import { ModelMemory, type ModelMemoryOptions } from './model-memory.ts';
import { ModelShapes } from './model-shapes.ts';
import { checkOptions } from './option-check.ts';
import { planDraft } from './plan.ts';
import type { StepOptions } from './replica-steps.ts';
import { type SeenModel, ShownModels } from './shown-models.ts';
import { startTimeoutMs } from './start-timeout.ts';
import { type ObservedModel, Supervisor, type SupervisorLogger } from './supervisor.ts';

export interface ModelsOptions {
  readonly db: Kysely<Database>;
  readonly room: EngineRoom;
  readonly gate: ImageGate;
  readonly table: RoutingTable;
  readonly config: Config;
  readonly rootSecret: Buffer;
  readonly gpus: ModelMemoryOptions['inventory'];
  /** What the gateway tells of requests that are under way. */
  readonly serving: Pick<StepOptions, 'openRequests' | 'settleMs'>;
  readonly health: EngineHealth;
  readonly logger: SupervisorLogger;
}

type Change = { readonly model: Model } | { readonly event: ModelEvent } | { readonly deleted: string };

const quiet = { reason: null, hint: null, cause: null } as const;

/** Models as people handle them: what is wanted is written down here, what is so comes from the supervisor. */
export class Models {
  readonly #options: ModelsOptions;
  readonly #list: ModelList;
  readonly #gate: ImageGate;
  readonly #supervisor: Supervisor;
  readonly #memory: ModelMemory;
  readonly #shapes: ModelShapes;
  readonly #feed = new ChangeFeed<Change>();
  readonly #offers = new FolderOffers();
  readonly #shown: ShownModels;
  /** Deleted while a look may be under way that still has them. */
  readonly #gone = new Set<string>();

  constructor(options: ModelsOptions) {
    this.#options = options;
    const { settings } = options.config;
    const { serving } = options;
    this.#list = new ModelList(options.db);
    this.#gate = options.gate;
    this.#shown = new ShownModels((engine) => this.#image(engine));
    this.#shapes = new ModelShapes(this.#root);
    this.#memory = new ModelMemory({
      db: options.db,
      inventory: options.gpus,
      listModels: () => this.#list.read(),
      stateOf: (modelId) => this.#shown.stateOf(modelId),
      shapeOf: (model) => this.#shapes.shapeOf(model),
      logs: (id, tail) => this.logs(id, tail),
      logger: options.logger,
    });
    this.#supervisor = new Supervisor({
      room: options.room,
      gate: this.#gate,
      listModels: () => this.#list.read(),
      ...serving,
      health: options.health,
      startTimeoutMs: (record) => this.#startTimeoutMs(record),
      hungAfterMs: settings.MODEL_HUNG_SECONDS * 1000,
      drainMs: settings.MODEL_DRAIN_SECONDS * 1000,
      gpusFree: (record, replica) => this.#memory.isFree(record, replica),
      rootSecret: options.rootSecret,
      onObserved: (models) => this.#observed(models),
      onStep: (modelId, state, text) => this.#tell(modelId, 'step', state, text),
      logger: options.logger,
    });
  }

  /** @throws CortexError image_not_available_offline, engine_option_unsupported, gpu_memory_held at once, and nothing is changed */
  async start(id: string): Promise<Model> {
    const record = await this.#find(id);
    const path = await resolveFolder(this.#root, record.folder);
    const { folder, file } = record;
    if (file !== null)
      await access(join(path, file)).catch(() => {
        throw new CortexError('folder_without_model', { folder, reason: `${file} is not there any more.` });
      });
    const image = this.#image(record.engine);
    const facts = (await this.#gate.check(image)) ? await this.#options.room.ask(record.engine) : null;
    if (facts !== null) checkOptions(record, image, facts);
    const { version } = facts ?? factsOfName(record.engine, image);
    return this.#memory.reserve(record, version, () => this.#want(id, 'running'));
  }

  /** Begins to look after the models. */
  supervise(): void {
    this.#supervisor.start();
  }

  /** For what another server on the same database has written. */
  changedElsewhere(): void {
    this.#list.written();
    this.#supervisor.wake();
  }

  close(): Promise<void> {
    return this.#supervisor.close();
  }

  count(): { ready: number; total: number } {
    return this.#shown.count();
  }

  async list(): Promise<Model[]> {
    return (await this.#list.latest()).map((record) => this.#shown.show(record));
  }

  async get(id: string): Promise<Model> {
    return this.#shown.show(await this.#find(id));
  }

  /** @throws CortexError conflict, folder_not_found, folder_outside, folder_without_model, engine_unfit */
  async create(model: NewModel): Promise<Model> {
    const read = readModel(model, null);
    await this.#checkFolder(read);
    const record = await insertModel(this.#options.db, read);
    this.#list.written();
    const shown = this.#shown.show(record);
    this.#feed.publish({ model: shown });
    this.#supervisor.wake();
    return shown;
  }

  /** @throws CortexError where a model can't be served as it is described, as far as can be told before a start */
  async check(model: NewModel): Promise<void> {
    await this.#checkFolder(model);
    await this.#checkImage(model);
  }

  /**
   * Changes a model. A running one whose engine has to be told starts anew; a failed one is tried again.
   * @throws CortexError model_changed, conflict, invalid_request, folder_not_found, folder_outside, folder_without_model,
   * engine_unfit, engine_option_unsupported, gpu_memory_held; then nothing is changed
   */
  async update(id: string, edit: ModelEdit, username: string): Promise<Model> {
    const { db, logger } = this.#options;
    const before = await this.#find(id);
    if (before.version !== edit.version) return refuseStale(db, id, before.name, edit.version);
    const model = editedModel(before, edit);
    const fields = modelDifferences(before, model).map(({ field }) => field);
    if (fields.length === 0) return this.#shown.show(before);
    await this.check(model);
    // An edit does not change the engine, so the two are of one kind.
    const after = { ...before, ...model } as ModelRecord;
    const write = () => updateModel(db, { id, version: edit.version, model, fields, username });
    const claims = after.replicas !== before.replicas || needsNewContainer(before, after);
    const record =
      before.wanted === 'running' && claims ? await this.#memory.reserve(after, undefined, write) : await write();
    if (record === null) return refuseStale(db, id, (await this.#find(id)).name, edit.version);
    this.#list.written();
    logger.info({ model: id, version: record.version, fields, username }, 'A model was changed');
    if (claims) this.#supervisor.forget(before);
    const shown = this.#shown.show(record);
    this.#feed.publish({ model: shown });
    this.#supervisor.wake();
    return shown;
  }

  /** The container as it would be made, and everything that stands against it. */
  plan(draft: ModelDraft): Promise<LaunchPlan> {
    const { room } = this.#options;
    return planDraft(draft, {
      room,
      gate: this.#gate,
      listModels: () => this.#list.read(),
      checkFolder: (model) => this.#checkFolder(model),
      memoryOf: (model, before, version) => this.#memory.plan(model, before, version),
    });
  }

  async memory(id: string): Promise<RouteResponse<Routes['modelMemory']>> {
    return this.#memory.overview(await this.#find(id));
  }

  gpus(): Promise<RouteResponse<Routes['listGpus']>> {
    return this.#memory.gpus();
  }

  async stop(id: string): Promise<Model> {
    await this.#find(id);
    return this.#want(id, 'stopped');
  }

  /** Removes the record; the supervisor removes its container as one that nobody wants. The files stay. */
  async delete(id: string): Promise<void> {
    const record = await this.#find(id);
    await deleteModel(this.#options.db, id);
    this.#list.written();
    this.#gone.add(id);
    this.#shown.forget(id);
    this.#supervisor.forget(record);
    this.#feed.publish({ deleted: id });
    this.#supervisor.wake();
  }

  async logs(id: string, tail: number, replica = 0): Promise<string[]> {
    return tailOfLog(this.#options.room, await this.#logQuestion(id, replica), tail);
  }

  /** @throws CortexError not_found, when it is begun */
  async *followLog(id: string, replica: number, tail: number, signal: AbortSignal): AsyncGenerator<LogPiece> {
    yield* followLog(this.#options.room, await this.#logQuestion(id, replica), tail, signal);
  }

  async *wholeLog(id: string, replica: number): AsyncGenerator<string> {
    yield* wholeLog(this.#options.room, await this.#logQuestion(id, replica));
  }

  async #logQuestion(id: string, replica: number): Promise<LogQuestion> {
    const record = await this.#find(id);
    return { modelId: id, replica, secrets: secretsOf(record, this.#supervisor.engineKey(id)) };
  }

  changes(signal: AbortSignal): AsyncIterable<Change> {
    return this.#feed.follow(signal);
  }

  async listFolders(): Promise<FolderList> {
    const records = await this.#list.read();
    const usedBy = (folder: string) =>
      records.filter((record) => record.folder === folder).map((record) => record.served_name);
    return { root: this.#options.config.modelsDirHost, ...(await listModelFolders(this.#root, usedBy)) };
  }

  inspectFolder(folder: string): Promise<FolderInspection> {
    const version = (engine: Engine) => versionInName(engine, this.#image(engine));
    const versions = { vllm: version('vllm'), llamacpp: version('llamacpp') };
    return inspectModelFolder(this.#root, folder, versions, this.#offers);
  }

  get #root(): string {
    return this.#options.config.settings.CORTEX_MODELS_DIR;
  }

  #image(engine: Engine): string {
    return this.#options.room.imageOf(engine);
  }

  async #find(id: string): Promise<ModelRecord> {
    const record = await findModel(this.#options.db, id);
    if (record === null) throw new CortexError('not_found', { what: 'model', id });
    return record;
  }

  async #want(id: string, wanted: 'running' | 'stopped'): Promise<Model> {
    await setWanted(this.#options.db, id, wanted);
    this.#list.written();
    const record = await this.#find(id);
    this.#supervisor.forget(record);
    this.#supervisor.wake();
    const state: ModelState = wanted === 'running' ? 'starting' : 'stopping';
    if (this.#shown.stateOf(id) !== (wanted === 'running' ? 'ready' : 'stopped'))
      this.#remember(record, { ...quiet, state, replicas: this.#shown.replicasOf(id) });
    return this.#shown.show(record);
  }

  async #startTimeoutMs({ folder, file }: ModelRecord): Promise<number> {
    const shape = await this.#shapes.shapeOf({ folder, file });
    const bytes = shape === null ? null : weightBytes(shape.weights);
    return startTimeoutMs(bytes, this.#options.config.settings.MODEL_START_TIMEOUT_SECONDS);
  }

  async #checkFolder(model: NewModel): Promise<void> {
    const { candidates, problems, notes, folder } = await this.inspectFolder(model.folder);
    const fitting = candidates.find((candidate) => candidate.engine === model.engine && candidate.file === model.file);
    if (fitting !== undefined) return;
    const remarks = [...problems, ...notes];
    const remark = remarks.find(({ file }) => file !== null && file === model.file) ?? remarks[0];
    const reason = remark?.message ?? 'it holds other files than the one that was named.';
    if (candidates.length === 0) throw new CortexError('folder_without_model', { folder, reason }, { param: 'folder' });
    const engine = model.engine === 'vllm' ? 'vLLM' : 'llama.cpp';
    throw new CortexError(
      'engine_unfit',
      {
        engine,
        reason:
          model.file === null || remark?.file === model.file
            ? reason
            : `${model.file} is not a model file of this folder.`,
      },
      { param: 'file' },
    );
  }

  /** Of an image that is not here nobody can tell yet. @throws CortexError engine_option_unsupported */
  async #checkImage(model: NewModel): Promise<void> {
    const image = this.#image(model.engine);
    const isHere = await this.#gate.isCached(image).catch(() => false);
    const facts = isHere ? await this.#options.room.ask(model.engine).catch(() => null) : null;
    if (facts !== null) checkOptions(model, image, facts);
  }

  #observed(found: readonly ObservedModel[]): void {
    const models = found.filter(({ record }) => !this.#gone.has(record.id));
    // One that a look does not have any more is in none that comes after it.
    for (const id of this.#gone) if (!found.some(({ record }) => record.id === id)) this.#gone.delete(id);
    for (const { record, ...found } of models) {
      if (found.state === 'ready' && this.#shown.stateOf(record.id) !== 'ready') this.#memory.hear(record);
      this.#remember(record, found);
    }
    this.#options.table.replaceModels(
      models.map(({ record, state, endpoints }) => ({
        modelId: record.id,
        servedName: record.served_name,
        task: record.task,
        state,
        createdAtMs: Date.parse(record.createdAt),
        endpoints,
      })),
    );
  }

  #remember(record: ModelRecord, seen: SeenModel): void {
    const before = this.#shown.stateOf(record.id);
    if (!this.#shown.see(record, seen)) return;
    this.#feed.publish({ model: this.#shown.show(record) });
    const { state, reason } = seen;
    if (before !== state) this.#tell(record.id, 'state', state, reason === null ? state : `${state}: ${reason}`);
  }

  #tell(modelId: string, kind: ModelEvent['kind'], state: ModelState, text: string): void {
    this.#feed.publish({ event: { model_id: modelId, at: new Date().toISOString(), kind, state, text } });
  }
}
