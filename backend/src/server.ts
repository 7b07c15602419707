import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import { z } from 'zod';
import type { InspectedRequest } from '../../contract/inspector.ts';
import type { UsageRecord } from '../../contract/usage.ts';
import { DockerEngine } from '../../docker/engine.ts';
import { readLoadedBill } from '../../offline/bill-file.ts';
import { fileOfImage, imageOf, readCatalog } from '../../offline/catalog.ts';
import { imageReadiness } from '../../offline/readiness.ts';
import { createHandlers } from './admin/handlers.ts';
import { createAdminServer } from './admin/server.ts';
import { Closing } from './closing.ts';
import type { Config } from './config.ts';
import { listenForChanges } from './db/change-notices.ts';
import { listOnDemand, putOnDemand } from './db/on-demand-records.ts';
import { openDatabase } from './db/open.ts';
import { insertUsage, insertUsageJson, listUsage } from './db/usage-records.ts';
import { deleteHoursBefore, deleteUsageBefore, raiseUsageHorizon } from './db/usage-retention.ts';
import { groupNames, largestGroups, outcomeCounts, rollupTotals, seriesPoints } from './db/usage-series.ts';
import { EngineClient } from './gateway/engine-client/engine-client.ts';
import { createGateway } from './gateway/gateway.ts';
import { checkEndpoints } from './gateway/health-checks.ts';
import { Inspector } from './gateway/inspector.ts';
import { MemoryLimits, type SeededLimitStore } from './gateway/limits.ts';
import { MeasuredEngines } from './gateway/measured-engines.ts';
import { Metrics } from './gateway/metrics.ts';
import { Queues } from './gateway/queue.ts';
import { RedisLimits } from './gateway/redis-limits.ts';
import { type RequestSeries, RequestTally } from './gateway/request-tally.ts';
import { statusOf } from './gateway/status-of.ts';
import type { Timing } from './gateway/timing.ts';
import { openTraces, type TraceOptions } from './gateway/traces.ts';
import type { RequestHandler } from './http/node-server.ts';
import { Identity } from './identity/identity.ts';
import { readLocalToken, readRootSecret } from './identity/secret-files.ts';
import { Benchmarks } from './jobs/benchmarks.ts';
import { Downloads } from './jobs/downloads.ts';
import { apiHandler, type Listener, listen, uiHandler } from './listeners.ts';
import { benchmarkSubject } from './models/benchmark-subject.ts';
import { EngineRoom } from './models/engine-room/room.ts';
import { ImageGate } from './models/image-gate.ts';
import { checkModel } from './models/model-check.ts';
import { Models } from './models/models.ts';
import { OnDemand } from './models/on-demand.ts';
import { Recipes } from './models/recipes.ts';
import { Balancer } from './routing/balancer.ts';
import { RoutingTable } from './routing/table.ts';
import { Rules } from './rules/rules.ts';
import { GpuReadings } from './system/gpus.ts';
import { SystemStatus } from './system/system-status.ts';
import { createUiServer } from './ui-server.ts';
import { UsageAnalytics } from './usage/analytics.ts';
import { UsageJournals } from './usage/journals.ts';
import { UsageRetention } from './usage/retention.ts';
import { UsageWriter } from './usage/writer.ts';
import { listenInWorkers } from './workers/listen-in-workers.ts';
import type { WorkerState } from './workers/messages.ts';
import { WorkerStates } from './workers/worker-states.ts';

const republishMs = 15_000;
const graceMs = 10_000;
/** Workers hear of the routing table at once, and tell once a second what they have under way. */
const workersSettleMs = 2_500;
const catchUpMs = 5000;
const healthPatienceMs = 2_000;

export interface RunningServer {
  readonly apiPort: number;
  readonly uiPort: number;
  /** Stops all parts in order: listeners first, the database last. */
  stop(): Promise<void>;
}

/**
 * Wires the parts and opens both ports.
 * @throws CortexError port_in_use, setting_invalid, database_unavailable, schema_newer; what had been opened is closed again
 */
export async function startServer(config: Config): Promise<RunningServer> {
  const { settings } = config;
  const logger = pino({ level: settings.LOG_LEVEL, base: null, timestamp: pino.stdTimeFunctions.isoTime });
  for (const warning of config.warnings) logger.warn(warning);
  const closing = new Closing();
  try {
    return await wire(config, logger, closing);
  } catch (error) {
    await closing.run(logger);
    throw error;
  }
}

async function wire(config: Config, logger: Logger, closing: Closing): Promise<RunningServer> {
  const { settings, dataDir, rootDir } = config;
  const version = readVersion(rootDir);
  const localToken = readLocalToken(dataDir);
  const rootSecret = readRootSecret(dataDir);

  const database = await openDatabase(
    config.databaseUrl === null ? { dataDir } : { url: config.databaseUrl },
    (error) => logger.warn({ reason: error.message }, 'A database connection broke'),
  );
  closing.add(() => database.close());
  const { db } = database;

  const table = new RoutingTable();
  const identity = new Identity({ db, snapshot: table, sessionTtlMs: settings.SESSION_TTL_HOURS * 3_600_000 });
  const workers = settings.GATEWAY_WORKERS === 1 ? 0 : settings.GATEWAY_WORKERS;
  const journals = await UsageJournals.open({ dir: join(dataDir, 'usage'), workers, logger });
  const writer = new UsageWriter({
    readers: journals.readers,
    insert: (records) => insertUsage(db, records),
    insertJson: (records) => insertUsageJson(db, records),
    logger,
  });
  closing.add(() => writer.close());
  closing.add(() => journals.own.close());
  // Budgets are read from what the database has.
  await writer.caughtUp(catchUpMs);

  const limits = limitStore(config, logger);
  closing.add(() => limits.close());
  const balancer = new Balancer();
  const rules = new Rules({ db, table, limits, balancer, rootSecret, logger });
  const publish = () => Promise.all([identity.publish(), rules.publish()]);
  await publish();
  const publishAgain = () => {
    publish().catch((error: unknown) => logger.warn({ err: error }, 'Keys, sessions and rules could not be read anew'));
  };
  const republishing = setInterval(publishAgain, republishMs);
  closing.add(() => clearInterval(republishing));

  const retention = new UsageRetention({
    retentionDays: settings.USAGE_RETENTION_DAYS,
    hourlyRetentionDays: settings.USAGE_HOURLY_RETENTION_DAYS,
    raiseHorizon: (before) => raiseUsageHorizon(db, before),
    deleteRequests: (before, limit) => deleteUsageBefore(db, before, limit),
    deleteHours: (before, limit) => deleteHoursBefore(db, before, limit),
    logger,
  });
  closing.add(() => retention.close());
  const analytics = new UsageAnalytics(
    {
      largestGroups: (...question) => largestGroups(db, ...question),
      seriesPoints: (...question) => seriesPoints(db, ...question),
      totals: (range) => rollupTotals(db, range),
      outcomes: (range) => outcomeCounts(db, range),
      names: (group, ids) => groupNames(db, group, ids),
    },
    settings.USAGE_HOURLY_RETENTION_DAYS,
  );

  const engine = new DockerEngine({ host: settings.DOCKER_HOST });
  closing.add(() => engine.close());
  const catalog = readCatalog({ rootDir, env: config.env });
  const gpuReadings = new GpuReadings({
    dcgmUrl: settings.DCGM_EXPORTER_URL,
    runtimes: async () => (await engine.info()).runtimes,
  });
  const gpus = () => gpuReadings.read();
  const gate = new ImageGate({
    images: engine.images,
    policy: settings,
    archiveFile: (image) => fileOfImage(catalog, image),
    configured: [imageOf(catalog, 'vllm'), imageOf(catalog, 'llamacpp')],
  });
  // Asks the registries where they are to be asked, so that the first page shows what they said.
  gate.status();
  const room = new EngineRoom({
    engine,
    imageOf: (name) => imageOf(catalog, name),
    models: { dir: settings.CORTEX_MODELS_DIR, dirHost: config.modelsDirHost },
    network: settings.CORTEX_ENGINE_NETWORK,
  });
  const workerStates = new WorkerStates(balancer);
  const serving = {
    openRequests: (endpointId: string) => workerStates.outstanding(endpointId),
    settleMs: settings.GATEWAY_WORKERS === 1 ? 0 : workersSettleMs,
  };
  const client = new EngineClient();
  closing.add(() => client.close());
  const health = (url: string) => statusOf(client, { url, ca: null, path: '/health', headers: {} }, healthPatienceMs);
  const models = new Models({ db, room, gate, table, config, rootSecret, gpus, serving, health, logger });
  const onDemand = new OnDemand({
    records: {
      list: () => listOnDemand(db),
      put: (modelId, settings) => putOnDemand(db, modelId, settings),
    },
    ...{ models, table, openRequests: serving.openRequests, logger },
  });
  await onDemand.begin();
  closing.add(() => onDemand.close());
  models.supervise();
  closing.add(() => models.close());
  // Other servers on the same database change things too. What a notice does not tell, time does.
  if (config.databaseUrl !== null) {
    const onChange = (tables: ReadonlySet<string> | null) => {
      if (tables === null || tables.has('models')) models.changedElsewhere();
      if (tables === null || [...tables].some((table) => table !== 'models')) publishAgain();
    };
    const notices = listenForChanges({ url: config.databaseUrl, onChange, logger });
    closing.add(() => notices.close());
  }

  const offlineMode = (): boolean => gate.status().mode !== 'off';
  const downloads = new Downloads({
    ...{ db, rootSecret, logger, modelsDir: settings.CORTEX_MODELS_DIR },
    ...{ endpoint: settings.HF_ENDPOINT, isOffline: offlineMode },
  });
  await downloads.takeUp();
  closing.add(() => downloads.close());
  const engines = new MeasuredEngines({ table, balancer, client, onUsed: (modelId) => onDemand.used(modelId) });
  const benchmarks = new Benchmarks({
    ...{ db, models, engines, logger },
    subjectOf: (model) => benchmarkSubject(model, room, models),
  });
  await benchmarks.takeUp();
  closing.add(() => benchmarks.close());
  const system = new SystemStatus({
    version,
    offline: () => gate.status(),
    engine,
    dockerAddress: settings.DOCKER_HOST,
    db,
    databaseKind: database.kind,
    modelsDir: settings.CORTEX_MODELS_DIR,
    journalOk: () => journals.state.ok,
    countModels: () => models.count(),
    gpus,
  });
  const inspector = new Inspector({ table, logger });
  const handlers = createHandlers({
    identity,
    models,
    onDemand,
    recipes: new Recipes({ db, models, logger }),
    downloads,
    checkModel: (model) => checkModel(model, engines),
    benchmarks,
    gate,
    rules,
    inspector,
    system,
    usage: { page: (filter) => listUsage(db, filter), analytics },
    imageReadiness: async () =>
      imageReadiness({ engine, catalog, bill: await readLoadedBill(config.packageDir), offlineMode: offlineMode() }),
    version,
    offlineMode,
    sessionTtlSeconds: settings.SESSION_TTL_HOURS * 3600,
  });

  const stopping = new AbortController();
  const admin = await createAdminServer({
    handlers,
    sessions: identity,
    localToken,
    version,
    logger,
    uiPort: settings.FRONTEND_PORT,
    stopping: stopping.signal,
  });
  closing.add(() => admin.close());
  const ui = await createUiServer(join(rootDir, 'dist/frontend'), logger);
  closing.add(() => ui.close());
  const queues = new Queues();
  const checks = checkEndpoints({ table, balancer, client });
  closing.add(() => checks.stop());
  const load = {
    running: (model: string) => queues.running(model) + workerStates.running(model),
    depth: (model: string) => queues.depth(model),
  };
  const tally = new RequestTally(table);
  const drain = () => tally.drain();
  const metrics = new Metrics({ table, endpoints: workerStates, queues: load, journals, limits, drain });
  const onRecord = (record: UsageRecord, timing: Timing) => {
    journals.own.append(record);
    tally.add(record, timing);
    onDemand.used(record.model_id);
    writer.wake();
  };
  const onTally = (series: readonly RequestSeries[]) => {
    metrics.add(series);
    for (const { modelId } of series) onDemand.used(modelId);
    writer.wake();
  };
  const tracing = traceOptions(config, version);
  const traces = tracing === null ? null : await openTraces(tracing, logger);
  closing.add(() => traces?.close());
  const onInspected = (inspected: InspectedRequest) => inspector.keep(inspected);
  const onRefused = (cause: string, count = 1) => metrics.refused(cause, count);
  const whenKept = (then: () => void) => journals.own.whenKept(then);
  const heard = { onRecord, onRefused, whenKept, onInspected };
  const gateway = createGateway({
    table,
    balancer,
    queues,
    waker: onDemand,
    limits,
    client,
    traces,
    settings,
    ...heard,
    logger,
  });
  const onState = (slot: number, state: WorkerState | null) => {
    journals.heard(slot, state?.journal ?? null);
    workerStates.heard(slot, state);
    writer.wake();
  };

  const api = apiHandler(gateway, (request, response) => admin.routing(request, response));
  const page = uiHandler(api, (request, response) => ui.routing(request, response));
  const listeners: Listener[] = [];
  closing.add(() => Promise.all(listeners.map((listener) => listener.close(graceMs))));
  // Event streams never end by themselves; without this the listeners would wait for them.
  closing.add(() => stopping.abort());
  const { GATEWAY_HOST: host } = settings;
  const apiListener =
    settings.GATEWAY_WORKERS === 1
      ? await listen(api, host, settings.GATEWAY_PORT, 'GATEWAY_PORT', gateway)
      : await listenInWorkers(api, {
          ...{ table, limits, queues, waker: onDemand, onTally, onRefused, onState, onInspected },
          journalDir: (slot) => journals.folderOf(slot),
          ...{ tracing, config, logger, closing },
        });
  listeners.push(apiListener);
  if (settings.METRICS_PORT !== 0)
    listeners.push(await listen(metricsHandler(metrics), host, settings.METRICS_PORT, 'METRICS_PORT'));
  const uiListener = await listen(page, host, settings.FRONTEND_PORT, 'FRONTEND_PORT');
  listeners.push(uiListener);

  logger.info(
    { version, database: database.kind },
    `Cortex ${version}: UI http://${host}:${uiListener.port}/ API http://${host}:${apiListener.port}/v1`,
  );
  if (!(await identity.isBootstrapped())) logger.info('There is no administrator yet: make bootstrap-default');

  return { apiPort: apiListener.port, uiPort: uiListener.port, stop: () => closing.run(logger) };
}

function limitStore({ redisUrl, settings }: Config, logger: Logger): SeededLimitStore {
  if (redisUrl === null) return new MemoryLimits();
  return new RedisLimits({ url: redisUrl, whileAway: settings.LIMITS_WHILE_REDIS_AWAY, logger });
}

function traceOptions({ settings }: Config, version: string): TraceOptions | null {
  if (settings.OTEL_EXPORTER_OTLP_ENDPOINT === '') return null;
  return {
    endpoint: settings.OTEL_EXPORTER_OTLP_ENDPOINT,
    headers: settings.OTEL_EXPORTER_OTLP_HEADERS,
    serviceName: settings.OTEL_SERVICE_NAME,
    version,
    ratio: settings.OTEL_TRACES_SAMPLER_ARG,
  };
}

const metricsHandler =
  (metrics: Metrics): RequestHandler =>
  (request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    metrics.text().then(
      (text) => response.writeHead(200, { 'content-type': metrics.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  };

const packageFile = z.object({ version: z.string() });

function readVersion(rootDir: string): string {
  return packageFile.parse(JSON.parse(readFileSync(join(rootDir, 'package.json'), 'utf8'))).version;
}
