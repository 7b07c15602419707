import type { Scope } from '../../../contract/keys.ts';
import type { ModelState, Task } from '../../../contract/models.ts';
import type { Right } from '../../../contract/rights.ts';
import type { Alias, LimitSubject, ServingSettings, SubjectLimit } from '../../../contract/routing.ts';

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
  /** Addresses and CIDR blocks that it may be used from; null is everywhere. */
  readonly networks: readonly string[] | null;
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

/** Where an engine answers. */
export interface Endpoint {
  /** What usage and metrics call it: a container's name or an external endpoint's. */
  readonly id: string;
  /** What stands before /v1. */
  readonly url: string;
  /** The engine's own key; null where it wants none. */
  readonly apiKey: string | null;
  /** What the engine itself calls the model. */
  readonly model: string;
  /** PEM text of the authority of an https endpoint; null is the machine's own list. */
  readonly ca: string | null;
  /** Nobody else looks after its health: the gateway asks it. */
  readonly external: boolean;
}

export interface RoutedModel {
  readonly modelId: string;
  readonly servedName: string;
  readonly task: Task;
  readonly state: ModelState;
  readonly createdAtMs: number;
  readonly endpoints: readonly Endpoint[];
}

/** An external endpoint and the served name that it answers for. */
export interface ExternalEndpoint extends Endpoint {
  readonly servedName: string;
  readonly task: Task;
  readonly createdAtMs: number;
}

/** Requests that are kept for an administrator to see. */
export interface InspectedPart {
  readonly untilMs: number;
  /** Null is every key. */
  readonly keyId: string | null;
}

/** Everything in the table; each part is replaced as a whole, and can be sent to another process. */
export interface TableParts {
  readonly keys: readonly KeyEntry[];
  readonly sessions: readonly SessionEntry[];
  readonly models: readonly RoutedModel[];
  readonly externals: readonly ExternalEndpoint[];
  readonly aliases: readonly Alias[];
  readonly limits: readonly SubjectLimit[];
  readonly serving: Readonly<Record<string, ServingSettings>>;
  readonly inspection: InspectedPart | null;
  /** Ids of models that are loaded by their first request. */
  readonly onDemand: readonly string[];
}

const nothing: TableParts = {
  keys: [],
  sessions: [],
  models: [],
  externals: [],
  aliases: [],
  limits: [],
  serving: {},
  inspection: null,
  onDemand: [],
};

/**
 * The snapshot that the request path reads: keys, sessions, models and rules, whole in memory. identity/, models/ and
 * routing/ replace their part at each change; a request never waits for the database.
 */
export class RoutingTable {
  #parts: TableParts = nothing;
  #keys: ReadonlyMap<string, KeyEntry> = new Map();
  #sessions: ReadonlyMap<string, SessionEntry> = new Map();
  #models: ReadonlyMap<string, RoutedModel> = new Map();
  #aliases: ReadonlyMap<string, Alias> = new Map();
  #limits: ReadonlyMap<LimitSubject, ReadonlyMap<string, SubjectLimit>> = new Map();
  readonly #listeners = new Set<(parts: Partial<TableParts>) => void>();

  get parts(): TableParts {
    return this.#parts;
  }

  replace(parts: Partial<TableParts>): void {
    this.#parts = { ...this.#parts, ...parts };
    if (parts.keys) this.#keys = new Map(parts.keys.map((entry) => [entry.hash, entry]));
    if (parts.sessions) this.#sessions = new Map(parts.sessions.map((entry) => [entry.hash, entry]));
    if (parts.models || parts.externals) this.#models = mergeModels(this.#parts);
    if (parts.aliases) this.#aliases = new Map(parts.aliases.map((entry) => [entry.name, entry]));
    if (parts.limits) this.#limits = bySubject(parts.limits);
    for (const listener of this.#listeners) listener(parts);
  }

  /** @param listener hears what was replaced; @returns what ends that */
  onReplace(listener: (parts: Partial<TableParts>) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  replaceKeys(keys: readonly KeyEntry[]): void {
    this.replace({ keys });
  }

  replaceSessions(sessions: readonly SessionEntry[]): void {
    this.replace({ sessions });
  }

  replaceModels(models: readonly RoutedModel[]): void {
    this.replace({ models });
  }

  get inspection(): InspectedPart | null {
    return this.#parts.inspection;
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

  /** Whether a request may wait for it to be loaded: it is no failed one, and no other's. */
  canWake({ modelId, state }: RoutedModel): boolean {
    return wakeable.has(state) && this.#parts.onDemand.includes(modelId);
  }

  alias(name: string): Alias | undefined {
    return this.#aliases.get(name);
  }

  aliases(): IterableIterator<Alias> {
    return this.#aliases.values();
  }

  limit(subject: LimitSubject, id: string): SubjectLimit | undefined {
    return this.#limits.get(subject)?.get(id);
  }

  serving(servedName: string): ServingSettings | undefined {
    return this.#parts.serving[servedName];
  }
}

function bySubject(limits: readonly SubjectLimit[]): Map<LimitSubject, Map<string, SubjectLimit>> {
  const found = new Map<LimitSubject, Map<string, SubjectLimit>>();
  for (const limit of limits) {
    const ofSubject = found.get(limit.subject) ?? new Map<string, SubjectLimit>();
    found.set(limit.subject, ofSubject.set(limit.id, limit));
  }
  return found;
}

const wakeable: ReadonlySet<ModelState> = new Set(['stopped', 'stopping', 'pulling', 'starting', 'loading']);

/** External endpoints are replicas of the model with their name; one that nobody runs here is made of them alone. */
function mergeModels({ models, externals }: TableParts): Map<string, RoutedModel> {
  const merged = new Map(models.map((model) => [model.servedName, model]));
  for (const { servedName, task, createdAtMs, ...endpoint } of externals) {
    const known = merged.get(servedName);
    merged.set(servedName, {
      ...(known ?? { modelId: endpoint.id, servedName, task, createdAtMs }),
      state: 'ready',
      endpoints: [...(known?.endpoints ?? []), endpoint],
    });
  }
  return merged;
}
