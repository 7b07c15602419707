import { type IncomingMessage, request as requestOf, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CortexError } from '../../../contract/errors.ts';
import { EngineClient } from '../gateway/engine-client/engine-client.ts';
import { createGateway } from '../gateway/gateway.ts';
import { checkEndpoints } from '../gateway/health-checks.ts';
import type { LimitAnswer, LimitRequest, LimitStore } from '../gateway/limits.ts';
import { Queues } from '../gateway/queue.ts';
import { createHttpServer } from '../http-server.ts';
import { apiHandler } from '../listeners.ts';
import { Balancer } from '../routing/balancer.ts';
import { RoutingTable } from '../routing/table.ts';
import { clientAddressHeader } from './control-socket.ts';
import type { FromWorker, ToWorker, WorkerSetup } from './messages.ts';

/*
 * A process that answers /v1 beside others on the same port. It knows no database: the snapshot comes from the first process,
 * usage and limits go there. When that one is gone, this one goes too.
 */
const send = (message: FromWorker): void => {
  process.send?.(message);
};

/** Limits are counted in the first process, so that all workers share them. */
class SharedLimits implements LimitStore {
  #id = 0;
  readonly #asked = new Map<number, (answer: LimitAnswer | null) => void>();

  async take(request: LimitRequest): Promise<LimitAnswer> {
    this.#id += 1;
    const id = this.#id;
    const answer = await new Promise<LimitAnswer | null>((resolve) => {
      this.#asked.set(id, resolve);
      send({ kind: 'take', id, request });
    });
    if (answer === null) throw new CortexError('limits_unavailable', {});
    return answer;
  }

  settle(request: LimitRequest, usedTokens: number): void {
    send({ kind: 'settle', request, usedTokens });
  }

  answered(id: number, answer: LimitAnswer | null): void {
    this.#asked.get(id)?.(answer);
    this.#asked.delete(id);
  }
}

const table = new RoutingTable();
const limits = new SharedLimits();
let stop: (graceMs: number) => void = () => process.exit(0);

process.on('message', (message: ToWorker) => {
  if (message.kind === 'table') table.replace(message.parts);
  else if (message.kind === 'limits') limits.answered(message.id, message.answer);
  else if (message.kind === 'stop') stop(message.graceMs);
  else listen(message.setup);
});
process.on('disconnect', () => process.exit(0));
// Ctrl-C reaches the whole group; the first process says when to go.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
send({ kind: 'ready' });

function listen(setup: WorkerSetup): void {
  const client = new EngineClient();
  const balancer = new Balancer();
  checkEndpoints({ table, balancer, client });
  const gateway = createGateway({
    table,
    balancer,
    // Each worker has its share of a model's places.
    queues: new Queues(setup.workers),
    limits,
    client,
    settings: setup.settings,
    onRecord: (record, timing) => send({ kind: 'record', record, timing }),
    logger: {
      warn: (details, message) => send({ kind: 'log', level: 'warn', details: plain(details), message }),
      error: (details, message) => send({ kind: 'log', level: 'error', details: plain(details), message }),
    },
  });
  const server = createHttpServer(
    apiHandler(gateway, (request, response) => toControl(request, response, setup.controlSocket)),
  );
  server.once('error', (error: Error & { code?: string }) => {
    send({ kind: 'failed', code: error.code ?? '', message: error.message });
  });
  server.listen(setup.port, setup.host, () => {
    send({ kind: 'listening', port: (server.address() as AddressInfo).port });
  });
  stop = (graceMs) => {
    setTimeout(() => process.exit(0), graceMs);
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  };
}

/** Errors do not survive the way as JSON. */
const plain = (details: object): object =>
  Object.fromEntries(
    Object.entries(details).map(([name, value]: [string, unknown]) => [
      name,
      value instanceof Error ? (value.stack ?? value.message) : value,
    ]),
  );

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
