import { isDeepStrictEqual } from 'node:util';
import type { Cause } from '../../../contract/diagnosis.ts';
import type { Engine, Model, ModelState, ReplicaState } from '../../../contract/models.ts';
import type { ModelRecord } from '../db/model-records.ts';
import { shownOptions } from './differences.ts';

/** What was seen of a model. */
export interface SeenModel {
  readonly state: ModelState;
  readonly reason: string | null;
  readonly hint: string | null;
  readonly cause: Cause | null;
  readonly replicas: readonly ReplicaState[];
}

interface Shown extends SeenModel {
  readonly since: string;
}

/**
 * Models as people are shown them: what is wanted of each, and what was last seen of it. Both seldom change, so a model is
 * the same frozen object until one of them does.
 */
export class ShownModels {
  readonly #imageOf: (engine: Engine) => string;
  readonly #seen = new Map<string, Shown>();
  readonly #models = new WeakMap<ModelRecord, { readonly seen: Shown | undefined; readonly model: Model }>();

  constructor(imageOf: (engine: Engine) => string) {
    this.#imageOf = imageOf;
  }

  /** As it was last seen; undefined before the first look. */
  stateOf(id: string): ModelState | undefined {
    return this.#seen.get(id)?.state;
  }

  replicasOf(id: string): readonly ReplicaState[] {
    return this.#seen.get(id)?.replicas ?? [];
  }

  count(): { ready: number; total: number } {
    const states = [...this.#seen.values()];
    return { ready: states.filter(({ state }) => state === 'ready').length, total: states.length };
  }

  /** Keeps what was seen; tells whether it is something new. */
  see({ id }: ModelRecord, { state, reason, hint, cause, replicas }: SeenModel): boolean {
    const before = this.#seen.get(id);
    const since = before?.state === state ? before.since : new Date().toISOString();
    const seen: Shown = { state, reason, hint, cause, replicas, since };
    if (isDeepStrictEqual(before, seen)) return false;
    this.#seen.set(id, seen);
    return true;
  }

  forget(id: string): void {
    this.#seen.delete(id);
  }

  show(record: ModelRecord): Model {
    const seen = this.#seen.get(record.id);
    const known = this.#models.get(record);
    if (known !== undefined && known.seen === seen) return known.model;
    const model = Object.freeze(this.#modelOf(record, seen));
    this.#models.set(record, { seen, model });
    return model;
  }

  #modelOf(record: ModelRecord, seen: Shown | undefined): Model {
    const { id, name, served_name, engine, task, folder, file, options, replicas, wanted, createdAt, version } = record;
    return {
      id,
      name,
      served_name,
      engine,
      task,
      folder,
      file,
      options: shownOptions(options),
      image: this.#imageOf(engine),
      replicas,
      replica_states: [...(seen?.replicas ?? [])],
      wanted,
      state: seen?.state ?? 'stopped',
      reason: seen?.reason ?? null,
      hint: seen?.hint ?? null,
      cause: seen?.cause ?? null,
      since: seen?.since ?? createdAt,
      created_at: createdAt,
      version,
    };
  }
}
