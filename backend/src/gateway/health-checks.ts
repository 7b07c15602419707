import type { Balancer } from '../routing/balancer.ts';
import type { Endpoint, RoutingTable } from '../routing/table.ts';
import type { AnswerSink } from './engine-client/connection.ts';
import type { EngineClient } from './engine-client/engine-client.ts';

const everyMs = 10_000;
const patienceMs = 5_000;

/**
 * Asks external endpoints from time to time whether they are there; the supervisor looks after the others. What goes from
 * the table is forgotten.
 */
export function checkEndpoints(options: {
  readonly table: RoutingTable;
  readonly balancer: Balancer;
  readonly client: EngineClient;
}): { stop(): void } {
  const { table, balancer, client } = options;
  const timer = setInterval(() => {
    for (const endpoint of table.parts.externals)
      void isThere(client, endpoint).then((isGood) => balancer.checked(endpoint, isGood, Date.now()));
  }, everyMs).unref();
  const unheard = table.onReplace((parts) => {
    if (parts.models === undefined && parts.externals === undefined) return;
    balancer.keepOnly([...table.models()].flatMap(({ endpoints }) => endpoints));
  });
  return {
    stop: () => {
      clearInterval(timer);
      unheard();
    },
  };
}

/** Any answer below 500 shows that somebody is there: not every server lists its models to everybody. */
function isThere(client: EngineClient, endpoint: Endpoint): Promise<boolean> {
  return new Promise((resolve) => {
    const headers: Record<string, string> =
      endpoint.apiKey === null ? {} : { authorization: `Bearer ${endpoint.apiKey}` };
    const end = (isGood: boolean) => {
      clearTimeout(timer);
      resolve(isGood);
    };
    let status = 0;
    const sink: AnswerSink = {
      onHead: (told) => {
        status = told;
      },
      onData: () => true,
      onEnd: () => end(status < 500),
      onFail: () => end(false),
    };
    const call = client.send(
      { url: endpoint.url, ca: endpoint.ca, method: 'GET', path: '/v1/models', headers, body: Buffer.alloc(0) },
      sink,
    );
    const timer = setTimeout(() => {
      call.abort(sink);
      end(false);
    }, patienceMs);
  });
}
