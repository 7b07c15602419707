import { type Kysely, sql } from 'kysely';
import type { GpuInventory } from '../../../contract/memory.ts';
import type { OfflinePolicy } from '../../../contract/offline-policy.ts';
import type { Health, SystemSummary } from '../../../contract/system.ts';
import type { Database } from '../db/schema.ts';
import { type EngineStatusSource, readDockerStatus } from './docker-status.ts';
import { HostReadings } from './host.ts';

export interface SystemStatusOptions {
  readonly version: string;
  readonly offline: () => OfflinePolicy;
  readonly engine: EngineStatusSource;
  readonly dockerAddress: string;
  readonly db: Kysely<Database>;
  readonly databaseKind: 'embedded' | 'postgres';
  readonly modelsDir: string;
  /** False while the usage journal can't be written. */
  readonly journalOk: () => boolean;
  readonly countModels: () => { readonly ready: number; readonly total: number };
  readonly gpus: () => Promise<GpuInventory>;
}

/** What the server says of itself and of the machine that it runs on. */
export class SystemStatus {
  readonly #options: SystemStatusOptions;
  readonly #startedAt = new Date().toISOString();
  readonly #host = new HostReadings();

  constructor(options: SystemStatusOptions) {
    this.#options = options;
  }

  /** Cortex works without Docker (the UI and the API do), so its absence is told and does not count as degraded. */
  async health(): Promise<Health> {
    const [database, docker] = await Promise.all([this.#databaseOk(), this.#docker()]);
    const journal = this.#options.journalOk();
    return {
      status: database && journal ? 'ok' : 'degraded',
      version: this.#options.version,
      checks: {
        database: database ? 'ok' : 'failed',
        docker: docker.available ? 'ok' : 'absent',
        usage_journal: journal ? 'ok' : 'failed',
      },
      models: this.#options.countModels(),
    };
  }

  async summary(): Promise<SystemSummary> {
    const options = this.#options;
    const offline = options.offline();
    const [docker, databaseOk, host, { gpus }] = await Promise.all([
      this.#docker(),
      this.#databaseOk(),
      this.#host.read(options.modelsDir),
      options.gpus(),
    ]);
    return {
      version: options.version,
      started_at: this.#startedAt,
      offline_mode: offline.mode !== 'off',
      offline,
      docker,
      database: { kind: options.databaseKind, ok: databaseOk },
      models_dir: options.modelsDir,
      host,
      gpus: gpus.map(({ index, name, total_bytes }) => ({ index, name, memory_total_bytes: total_bytes })),
    };
  }

  #docker(): Promise<SystemSummary['docker']> {
    return readDockerStatus(this.#options.engine, this.#options.dockerAddress);
  }

  async #databaseOk(): Promise<boolean> {
    return sql`select 1`.execute(this.#options.db).then(
      () => true,
      () => false,
    );
  }
}
