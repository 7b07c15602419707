import { type IncomingMessage, request as requestOf, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EngineClient } from '../gateway/engine-client/engine-client.ts';
import { createGateway } from '../gateway/gateway.ts';
import { checkEndpoints } from '../gateway/health-checks.ts';
import { RequestTally } from '../gateway/request-tally.ts';
import { openTraces } from '../gateway/traces.ts';
import { createHttpServer } from '../http/node-server.ts';
import { takePlainRequests } from '../http/plain-requests.ts';
import { apiHandler, closeServer, isGatewayPath } from '../listeners.ts';
import { Balancer } from '../routing/balancer.ts';
import { RoutingTable } from '../routing/table.ts';
import { UsageJournal } from '../usage/journal.ts';
import type { Ask } from './asks.ts';
import { Bundle } from './bundle.ts';
import { clientAddressHeader } from './control-socket.ts';
import type { FromWorker, ToWorker, WorkerSetup } from './messages.ts';
import { Asked, SharedLimits, SharedQueues, SharedWaker } from './shared.ts';

/*
 * A process that answers /v1 beside others on the same port. It knows no database: the snapshot comes from the first process,
 * limits and places at models are given there, and it reads the usage journal that this one keeps. When that one is gone, this one goes too.
 */
const send = (message: FromWorker): void => {
  // That the first process has gone is told by 'disconnect'; without a callback it would be an uncaught error as well.
  process.send?.(message, undefined, {}, () => undefined);
};

const logger = {
  warn: (details: object, message: string) => send({ kind: 'log', level: 'warn', details: plain(details), message }),
  error: (details: object, message: string) => send({ kind: 'log', level: 'error', details: plain(details), message }),
};
const stateMs = 1000;
const tallyMs = 100;
const table = new RoutingTable();
const asks = new Bundle<Ask>((all) => send({ kind: 'asks', asks: all }));
const asked = new Asked((ask) => asks.add(ask));
const tally = new RequestTally(table);
/** Requests that never came to a model, by the code of the error. */
const refused = new Map<string, number>();
let stop: (graceMs: number) => void = () => process.exit(0);

process.on('message', (message: ToWorker) => {
  if (message.kind === 'table') table.replace(message.parts);
  else if (message.kind === 'answers') asked.answered(message.answers);
  else if (message.kind === 'stop') stop(message.graceMs);
  else void listen(message.setup);
});
process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches the whole group; the first process says when to go.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
send({ kind: 'ready' });

async function listen(setup: WorkerSetup): Promise<void> {
  const traces = setup.tracing === null ? null : await openTraces(setup.tracing, logger);
  const journal = await UsageJournal.open({ dir: setup.journalDir, logger });
  const queues = new SharedQueues(asked);
  const client = new EngineClient();
  const balancer = new Balancer();
  tellState(journal, queues, balancer);
  setInterval(tellTally, tallyMs).unref();
  checkEndpoints({ table, balancer, client });
  const gateway = createGateway({
    table,
    balancer,
    queues,
    waker: new SharedWaker(asked),
    limits: new SharedLimits(asked),
    client,
    traces,
    settings: setup.settings,
    onRefused: (cause) => refused.set(cause, (refused.get(cause) ?? 0) + 1),
    onInspected: (inspected) => send({ kind: 'inspected', inspected }),
    onRecord: (record, timing) => {
      journal.append(record);
      tally.add(record, timing);
    },
    whenKept: (then) => journal.whenKept(then),
    logger,
  });
  const server = createHttpServer(
    apiHandler(gateway, (request, response) => toControl(request, response, setup.controlSocket)),
  );
  const plain = takePlainRequests(server, isGatewayPath, gateway);
  server.once('error', (error: Error & { code?: string }) => {
    send({ kind: 'failed', code: error.code ?? '', message: error.message });
  });
  server.listen(setup.port, setup.host, () => {
    send({ kind: 'listening', port: (server.address() as AddressInfo).port });
  });
  stop = (graceMs) => {
    const leave = () => {
      tellTally();
      void Promise.all([journal.close(), traces?.close()]).finally(() => process.exit(0));
    };
    void closeServer(server, plain, graceMs).then(leave);
  };
}

function tellTally(): void {
  const series = tally.drain();
  if (series.length > 0) send({ kind: 'asks', asks: [{ ask: 'tally', series }] });
  if (refused.size > 0) send({ kind: 'asks', asks: [{ ask: 'refused', counts: Object.fromEntries(refused) }] });
  refused.clear();
}

/** The first process shows how all workers do. */
function tellState(journal: UsageJournal, queues: SharedQueues, balancer: Balancer): void {
  let told = '';
  setInterval(() => {
    const { ok, waiting, dropped } = journal;
    const state = { journal: { ok, waiting, dropped }, running: queues.running, ...balancer.report(Date.now()) };
    if (JSON.stringify(state) === told) return;
    told = JSON.stringify(state);
    send({ kind: 'state', state });
  }, stateMs).unref();
}

/** Errors do not survive the way as JSON. */
function plain(details: object): object {
  return Object.fromEntries(
    Object.entries(details).map(([name, value]: [string, unknown]) => [
      name,
      value instanceof Error ? (value.stack ?? value.message) : value,
    ]),
  );
}

/** Everything but /v1 is answered by the first process. */
function toControl(request: IncomingMessage, response: ServerResponse, socketPath: string): void {
  const headers = { ...request.headers, [clientAddressHeader]: request.socket.remoteAddress ?? '' };
  const { method, url } = request;
  const onward = requestOf({ socketPath, method, path: url, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  onward.on('error', () => {
    if (response.headersSent) response.destroy();
    else response.writeHead(503).end();
  });
  response.on('close', () => onward.destroy());
  request.pipe(onward);
}
