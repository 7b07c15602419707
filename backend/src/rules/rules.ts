import { CortexError } from '../../../contract/errors.ts';
import {
  type Alias,
  type ChangedEndpoint,
  type EndpointRecord,
  type LimitedSubject,
  limitSubject,
  limit as limitValues,
  type NewEndpoint,
  type ServedModel,
  type ServingSettings,
  type SubjectLimit,
} from '../../../contract/routing.ts';
import * as records from '../db/routing-records.ts';
import type { Executor } from '../db/schema.ts';
import { spentTokens } from '../db/usage-spent.ts';
import type { SeededLimitStore } from '../gateway/limits.ts';
import type { Balancer } from '../routing/balancer.ts';
import type { RoutingTable } from '../routing/table.ts';
import { Seal } from './sealed.ts';

export interface RulesOptions {
  readonly db: Executor;
  readonly table: RoutingTable;
  /** Hears what was used of a budget before it counts itself. */
  readonly limits: Pick<SeededLimitStore, 'seed'>;
  readonly balancer: Pick<Balancer, 'state'>;
  readonly rootSecret: Buffer;
  readonly logger: { warn(details: object, message: string): void };
}

/** Aliases, external endpoints, limits and serving settings: kept in the database, published in the routing table. */
export class Rules {
  readonly #options: RulesOptions;
  readonly #seal: Seal;
  #seeded: ReadonlySet<string> = new Set();
  #publishing: Promise<void> = Promise.resolve();

  constructor(options: RulesOptions) {
    this.#options = options;
    this.#seal = new Seal(options.rootSecret);
  }

  /** Reads all of them anew. One after the other, so an older reading never wins. */
  publish(): Promise<void> {
    const next = this.#publishing.catch(() => undefined).then(() => this.#read());
    this.#publishing = next;
    return next;
  }

  async all() {
    const { db } = this.#options;
    return {
      models: this.#models(Date.now()),
      aliases: await records.listAliases(db),
      endpoints: (await records.listEndpoints(db)).map(toShown),
      limits: await records.listLimits(db),
      serving: await records.listServing(db),
    };
  }

  /** @throws CortexError conflict where a model is served under the name */
  async setAlias(alias: Alias): Promise<void> {
    if (this.#options.table.model(alias.name) !== undefined) {
      const detail = `A model is served as '${alias.name}' already.`;
      throw new CortexError('conflict', { detail }, { param: 'name' });
    }
    await records.putAlias(this.#options.db, alias);
    await this.publish();
  }

  /** @throws CortexError not_found */
  async deleteAlias(name: string): Promise<void> {
    if (!(await records.deleteAlias(this.#options.db, name)))
      throw new CortexError('not_found', { what: 'alias', id: name });
    await this.publish();
  }

  /** @throws CortexError conflict */
  async createEndpoint(endpoint: NewEndpoint): Promise<EndpointRecord> {
    const { api_key: apiKey } = endpoint;
    const sealed = apiKey === null ? null : this.#seal.close(apiKey, endpoint.url);
    const stored = await records.insertEndpoint(this.#options.db, { ...endpoint, api_key: sealed });
    await this.publish();
    return toShown(stored);
  }

  /** @throws CortexError not_found, conflict, invalid_request where a kept key would go to another address */
  async updateEndpoint(id: string, change: ChangedEndpoint): Promise<EndpointRecord> {
    const { db } = this.#options;
    const before = await records.findEndpoint(db, id);
    if (before === null) throw new CortexError('not_found', { what: 'endpoint', id });
    const { api_key: apiKey } = change;
    let sealed = before.api_key;
    if (apiKey !== undefined) sealed = apiKey === null ? null : this.#seal.close(apiKey, change.url);
    else if (sealed !== null && before.url !== change.url) {
      const detail =
        'api_key: the key that is kept was given for the old address; send the key for the new one, or null';
      throw new CortexError('invalid_request', { detail }, { param: 'api_key' });
    }
    const stored = { ...before, ...change, api_key: sealed };
    await records.updateEndpoint(db, stored);
    await this.publish();
    return toShown(stored);
  }

  /** @throws CortexError not_found */
  async deleteEndpoint(id: string): Promise<void> {
    if (!(await records.deleteEndpoint(this.#options.db, id)))
      throw new CortexError('not_found', { what: 'endpoint', id });
    await this.publish();
  }

  async setServing(servedName: string, settings: ServingSettings): Promise<void> {
    await records.putServing(this.#options.db, servedName, settings);
    await this.publish();
  }

  /** All that can have limits, and what has some although it is gone. */
  async limitedSubjects(): Promise<LimitedSubject[]> {
    const { db, table } = this.#options;
    const limits = new Map((await records.listLimits(db)).map((one) => [`${one.subject} ${one.id}`, one]));
    const models = [...table.models()].map(({ servedName }) => servedName).sort();
    const subjects = [
      ...(await records.listLimitSubjects(db)),
      ...models.map((name) => ({ subject: 'model' as const, id: name, name, detail: null })),
    ].map((subject) => {
      const key = `${subject.subject} ${subject.id}`;
      const known = limitValues.parse(limits.get(key) ?? {});
      limits.delete(key);
      return { ...subject, exists: true, limits: known };
    });
    const left = [...limits.values()];
    const names = await records.keyNames(
      db,
      left.filter(({ subject }) => subject === 'key').map(({ id }) => id),
    );
    const gone = left.map((one) => ({
      subject: one.subject,
      id: one.id,
      name: names.get(one.id) ?? one.id,
      detail: null,
      exists: false,
      limits: limitValues.parse(one),
    }));
    return [...subjects, ...gone];
  }

  async setLimit(limit: SubjectLimit): Promise<void> {
    await records.putLimit(this.#options.db, limit);
    await this.publish();
  }

  #models(nowMs: number): ServedModel[] {
    const { table, balancer } = this.#options;
    return [...table.models()]
      .map(({ servedName, task, state, endpoints }) => ({
        served_name: servedName,
        task,
        state,
        replicas: endpoints.map(({ id, external }) => ({ id, external, health: healths[balancer.state(id, nowMs)] })),
      }))
      .sort((a, b) => a.served_name.localeCompare(b.served_name));
  }

  async #read(): Promise<void> {
    const { db, table, logger } = this.#options;
    const endpoints = await records.listEndpoints(db);
    const limits = await records.listLimits(db);
    await this.#seed(limits);
    table.replace({
      aliases: await records.listAliases(db),
      limits,
      serving: await records.listServing(db),
      externals: endpoints.map((stored) => {
        const apiKey = stored.api_key === null ? null : this.#seal.open(stored.api_key, stored.url);
        if (stored.api_key !== null && apiKey === null)
          logger.warn({ endpoint: stored.name }, 'The key of an external endpoint was sealed with another secret');
        return {
          id: stored.name,
          servedName: stored.served_name,
          task: stored.task,
          createdAtMs: stored.created_at.getTime(),
          url: stored.url,
          apiKey,
          model: stored.upstream_model ?? stored.served_name,
          ca: stored.ca,
          external: true,
        };
      }),
    });
  }

  /** A budget goes on where it stood: over a restart, and for a subject that is limited from now on. */
  async #seed(all: readonly SubjectLimit[]): Promise<void> {
    const { db, limits } = this.#options;
    const fresh = all.filter((limit) => !this.#seeded.has(keyOf(limit)));
    for (const subject of limitSubject.options) {
      const ids = fresh.filter((limit) => limit.subject === subject).map((limit) => limit.id);
      if (ids.length === 0) continue;
      for (const { id, ...spent } of await spentTokens(db, subject, ids, new Date()))
        await limits.seed(subject, id, spent);
    }
    this.#seeded = new Set(all.map(keyOf));
  }
}

const keyOf = ({ subject, id }: SubjectLimit) => `${subject} ${id}`;
const healths = { closed: 'ok', 'half-open': 'trial', open: 'failing' } as const;

const toShown = ({ api_key: apiKey, created_at: createdAt, ...stored }: records.StoredEndpoint): EndpointRecord => ({
  ...stored,
  has_api_key: apiKey !== null,
  created_at: createdAt.toISOString(),
});
