import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import { z } from 'zod';
import { DockerEngine } from '../../docker/engine.ts';
import { readLoadedBill } from '../../offline/bill-file.ts';
import { readCatalog } from '../../offline/catalog.ts';
import { imageReadiness } from '../../offline/readiness.ts';
import { createHandlers } from './admin/handlers.ts';
import { createAdminServer } from './admin/server.ts';
import type { Config } from './config.ts';
import { openDatabase } from './db/open.ts';
import { insertUsage, listUsage } from './db/usage-records.ts';
import { deleteHoursBefore, deleteUsageBefore, raiseUsageHorizon } from './db/usage-retention.ts';
import { groupNames, largestGroups, outcomeCounts, rollupTotals, seriesPoints } from './db/usage-series.ts';
import { createGateway } from './gateway/gateway.ts';
import { Identity } from './identity/identity.ts';
import { readLocalToken, readRootSecret } from './identity/secret-files.ts';
import { apiHandler, type Listener, listen, uiHandler } from './listeners.ts';
import { Models } from './models/models.ts';
import { RoutingTable } from './routing/table.ts';
import { SystemStatus } from './system/system-status.ts';
import { createUiServer } from './ui-server.ts';
import { UsageAnalytics } from './usage/analytics.ts';
import { UsageJournal } from './usage/journal.ts';
import { UsageRetention } from './usage/retention.ts';
import { UsageWriter } from './usage/writer.ts';

const republishMs = 15_000;
const graceMs = 10_000;

export interface RunningServer {
  readonly apiPort: number;
  readonly uiPort: number;
  /** Stops all parts in order: listeners first, the database last. */
  stop(): Promise<void>;
}

/** Undoes what was done, last first; each step even if one before it failed. */
class Closing {
  readonly #steps: (() => unknown)[] = [];
  add(step: () => unknown): void {
    this.#steps.push(step);
  }
  async run(logger: Logger): Promise<void> {
    for (const step of this.#steps.splice(0).reverse()) {
      try {
        await step();
      } catch (error) {
        logger.error({ err: error }, 'A part did not stop in order');
      }
    }
  }
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
    (error) => logger.warn({ err: error }, 'A database connection broke'),
  );
  closing.add(() => database.close());
  const { db } = database;

  const table = new RoutingTable();
  const identity = new Identity({ db, snapshot: table, sessionTtlMs: settings.SESSION_TTL_HOURS * 3_600_000 });
  await identity.publish();
  // Another process on the same database may have changed something.
  const republishing = setInterval(() => {
    identity
      .publish()
      .catch((error: unknown) => logger.warn({ err: error }, 'Keys and sessions could not be read anew'));
  }, republishMs);
  closing.add(() => clearInterval(republishing));

  const journal = await UsageJournal.open({ dir: join(dataDir, 'usage'), logger });
  const writer = new UsageWriter({ journal, insert: (records) => insertUsage(db, records), logger });
  closing.add(() => writer.close());
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
  const models = new Models({ db, engine, table, config, catalog, rootSecret, logger });
  models.supervise();
  closing.add(() => models.close());

  const offlineMode = (): boolean => settings.OFFLINE_MODE;
  const system = new SystemStatus({
    version,
    offlineMode,
    engine,
    dockerAddress: settings.DOCKER_HOST,
    db,
    databaseKind: database.kind,
    modelsDir: settings.CORTEX_MODELS_DIR,
    journalOk: () => journal.ok,
    countModels: () => models.count(),
  });
  const handlers = createHandlers({
    identity,
    models,
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
  const gateway = createGateway({ table, journal, settings, logger });
  closing.add(() => gateway.close());

  const api = apiHandler(gateway, (request, response) => admin.routing(request, response));
  const page = uiHandler(api, (request, response) => ui.routing(request, response));
  const listeners: Listener[] = [];
  closing.add(() => Promise.all(listeners.map((listener) => listener.close(graceMs))));
  // Event streams never end by themselves; without this the listeners would wait for them.
  closing.add(() => stopping.abort());
  const { GATEWAY_HOST: host } = settings;
  const apiListener = await listen(api, host, settings.GATEWAY_PORT, 'GATEWAY_PORT');
  listeners.push(apiListener);
  const uiListener = await listen(page, host, settings.FRONTEND_PORT, 'FRONTEND_PORT');
  listeners.push(uiListener);

  logger.info(
    { version, database: database.kind },
    `Cortex ${version}: UI http://${host}:${uiListener.port}/ API http://${host}:${apiListener.port}/v1`,
  );
  if (!(await identity.isBootstrapped())) logger.info('There is no administrator yet: make bootstrap-default');

  return { apiPort: apiListener.port, uiPort: uiListener.port, stop: () => closing.run(logger) };
}

const packageFile = z.object({ version: z.string() });

function readVersion(rootDir: string): string {
  return packageFile.parse(JSON.parse(readFileSync(join(rootDir, 'package.json'), 'utf8'))).version;
}
