import { setTimeout as sleep } from 'node:timers/promises';
import type { Room } from './engine-room/room.ts';

export interface OrphansOptions {
  readonly room: Pick<Room, 'remove'>;
  readonly logger: { info(details: object, message: string): void; warn(details: object, message: string): void };
}

const againMs = 10_000;

/** Removes containers of models that are gone, beside the looks: no other model waits for one that Docker can't remove. */
export class Orphans {
  readonly #options: OrphansOptions;
  readonly #under = new Set<string>();
  readonly #closing = new AbortController();

  constructor(options: OrphansOptions) {
    this.#options = options;
  }

  close(): void {
    this.#closing.abort();
  }

  /** Begins to remove a container, unless that is tried already or was in vain a moment ago. */
  remove(id: string, modelId: string): void {
    if (this.#under.has(id)) return;
    this.#under.add(id);
    this.#options.logger.info({ container: id, model: modelId }, 'A container of a model that is gone is removed');
    void this.#remove(id).finally(() => this.#under.delete(id));
  }

  async #remove(id: string): Promise<void> {
    const { room, logger } = this.#options;
    try {
      await room.remove(id);
    } catch (error) {
      logger.warn({ err: error, container: id }, 'A container of a model that is gone could not be removed');
      await sleep(againMs, undefined, { signal: this.#closing.signal, ref: false }).catch(() => undefined);
    }
  }
}
