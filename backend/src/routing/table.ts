import type { Scope } from '../../../contract/keys.ts';
import type { ModelState, Task } from '../../../contract/models.ts';
import type { Right } from '../../../contract/rights.ts';

export interface KeyEntry {
  /** SHA-256 of the key, hex. */
  readonly hash: string;
  readonly keyId: string;
  readonly keyName: string;
  readonly userId: string;
  readonly organizationId: string;
  readonly scopes: readonly Scope[];
  /** Served names; null is every model. */
  readonly models: readonly string[] | null;
  readonly expiresAtMs: number | null;
}

export interface SessionEntry {
  /** SHA-256 of the cookie's value, hex. */
  readonly hash: string;
  readonly sessionId: string;
  readonly userId: string;
  readonly organizationId: string;
  readonly expiresAtMs: number;
  readonly rights: readonly Right[];
}

/** Where an engine answers. `apiKey` is the engine's own. */
export interface Endpoint {
  readonly url: string;
  readonly apiKey: string;
}

export interface RoutedModel {
  readonly modelId: string;
  readonly servedName: string;
  readonly task: Task;
  readonly state: ModelState;
  readonly createdAtMs: number;
  readonly endpoints: readonly Endpoint[];
}

/**
 * The snapshot that the request path reads: keys, sessions and models, whole in memory. identity/ and models/ replace
 * their part at each change; a request never waits for the database.
 */
export class RoutingTable {
  #keys: ReadonlyMap<string, KeyEntry> = new Map();
  #sessions: ReadonlyMap<string, SessionEntry> = new Map();
  #models: ReadonlyMap<string, RoutedModel> = new Map();
  readonly #outstanding = new Map<string, number>();

  replaceKeys(entries: readonly KeyEntry[]): void {
    this.#keys = new Map(entries.map((entry) => [entry.hash, entry]));
  }

  replaceSessions(entries: readonly SessionEntry[]): void {
    this.#sessions = new Map(entries.map((entry) => [entry.hash, entry]));
  }

  replaceModels(models: readonly RoutedModel[]): void {
    this.#models = new Map(models.map((model) => [model.servedName, model]));
  }

  key(hash: string): KeyEntry | undefined {
    return this.#keys.get(hash);
  }

  session(hash: string): SessionEntry | undefined {
    return this.#sessions.get(hash);
  }

  model(servedName: string): RoutedModel | undefined {
    return this.#models.get(servedName);
  }

  models(): IterableIterator<RoutedModel> {
    return this.#models.values();
  }

  /** The model's endpoint with the fewest requests under way. Call `release` once when the request has ended. */
  acquire(model: RoutedModel): { endpoint: Endpoint; release: () => void } | undefined {
    const load = (endpoint: Endpoint) => this.#outstanding.get(endpoint.url) ?? 0;
    const [first, ...others] = model.endpoints;
    if (first === undefined) return undefined;
    const endpoint = others.reduce((least, other) => (load(other) < load(least) ? other : least), first);
    this.#outstanding.set(endpoint.url, load(endpoint) + 1);
    const release = () => {
      const left = load(endpoint) - 1;
      if (left > 0) this.#outstanding.set(endpoint.url, left);
      else this.#outstanding.delete(endpoint.url);
    };
    return { endpoint, release };
  }
}
