import type { Balancer } from '../routing/balancer.ts';
import type { Endpoint, RoutingTable } from '../routing/table.ts';
import type { EngineClient } from './engine-client/engine-client.ts';
import { statusOf } from './status-of.ts';

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
async function isThere(client: EngineClient, { url, ca, apiKey }: Endpoint): Promise<boolean> {
  const headers: Record<string, string> = apiKey === null ? {} : { authorization: `Bearer ${apiKey}` };
  const status = await statusOf(client, { url, ca, path: '/v1/models', headers }, patienceMs);
  return status !== null && status < 500;
}
