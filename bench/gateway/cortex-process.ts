import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { pino } from 'pino';
import { loadConfig } from '../../backend/src/config.ts';
import { ensureOrganization, insertUser } from '../../backend/src/db/identity-records.ts';
import { openDatabase } from '../../backend/src/db/open.ts';
import { insertUsage } from '../../backend/src/db/usage-records.ts';
import { EngineClient } from '../../backend/src/gateway/engine-client/engine-client.ts';
import { createGateway } from '../../backend/src/gateway/gateway.ts';
import { MemoryLimits } from '../../backend/src/gateway/limits.ts';
import { Metrics } from '../../backend/src/gateway/metrics.ts';
import { Queues } from '../../backend/src/gateway/queue.ts';
import { Identity } from '../../backend/src/identity/identity.ts';
import { apiHandler, listen } from '../../backend/src/listeners.ts';
import { Balancer } from '../../backend/src/routing/balancer.ts';
import { RoutingTable } from '../../backend/src/routing/table.ts';
import { UsageJournal } from '../../backend/src/usage/journal.ts';
import { UsageWriter } from '../../backend/src/usage/writer.ts';
import { announce } from './announce.ts';
import { modelName } from './answers.ts';

/*
 * Cortex with everything on, wired as backend/src/server.ts wires it but for Docker and the UI, with one key and one model
 * whose endpoint is the mock: a running server has no way yet to be given an endpoint that is not a container.
 */

const [mockUrl = '', mockKey = ''] = process.argv.slice(2);
const config = loadConfig();
const { settings } = config;
const logger = pino({ level: settings.LOG_LEVEL, base: null }, pino.destination(2));

const database = await openDatabase(
  config.databaseUrl === null ? { dataDir: config.dataDir } : { url: config.databaseUrl },
);
const { db } = database;
const table = new RoutingTable();
const identity = new Identity({ db, snapshot: table, sessionTtlMs: settings.SESSION_TTL_HOURS * 3_600_000 });
const journal = await UsageJournal.open({ dir: join(config.dataDir, 'usage'), logger });
const writer = new UsageWriter({ journal, insert: (records) => insertUsage(db, records), logger });

const user = await insertUser(db, {
  organizationId: await ensureOrganization(db, 'bench'),
  username: `bench-${randomBytes(6).toString('hex')}`,
  role: 'admin',
  passwordHash: '',
  mustChangePassword: false,
});
const { key, token } = await identity.createKey(
  { id: '', hash: '', expiresAtMs: 0, user },
  { name: 'bench', scopes: ['chat'], models: [modelName], networks: null, expires_at: null },
);
table.replaceModels([
  {
    modelId: 'mdl_bench',
    servedName: modelName,
    task: 'generate',
    state: 'ready',
    createdAtMs: Date.now(),
    endpoints: [{ id: 'mock', url: mockUrl, apiKey: mockKey, model: modelName, ca: null, external: false }],
  },
]);

const client = new EngineClient();
const balancer = new Balancer();
const queues = new Queues();
const metrics = new Metrics({ table, balancer, queues, journal });
// A limit that is never reached: what counting costs is in the figures.
const unreached = { requests_per_minute: 1e9, tokens_per_minute: 1e12, concurrent_requests: 1e6 };
const keyLimit = { subject: 'key' as const, id: key.id, ...unreached, tokens_per_day: null, tokens_per_month: null };
table.replace({ limits: [keyLimit] });
const gateway = createGateway({
  table,
  balancer,
  queues,
  limits: new MemoryLimits(),
  client,
  traces: null,
  onInspected: () => undefined,
  settings,
  onRecord: (record, timing) => {
    journal.append(record);
    metrics.observe(record, timing);
  },
  logger,
});
const api = apiHandler(gateway, (_, response) => response.writeHead(404).end());
const listener = await listen(api, settings.GATEWAY_HOST, settings.GATEWAY_PORT, 'GATEWAY_PORT');
announce({ port: listener.port, token });

process.once('SIGTERM', () => {
  const stop = async () => {
    await listener.close(1000);
    client.close();
    await writer.close();
    await database.close();
  };
  stop().then(
    () => process.exit(0),
    (error: unknown) => {
      logger.error({ err: error }, 'Cortex did not stop in order');
      process.exit(1);
    },
  );
});
