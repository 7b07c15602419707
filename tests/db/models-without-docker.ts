import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Kysely } from 'kysely';
import { loadConfig } from '../../backend/src/config.ts';
import type { Database } from '../../backend/src/db/schema.ts';
import { EngineRoom } from '../../backend/src/models/engine-room/room.ts';
import { ImageGate } from '../../backend/src/models/image-gate.ts';
import { Models } from '../../backend/src/models/models.ts';
import { RoutingTable } from '../../backend/src/routing/table.ts';
import { DockerEngine } from '../../docker/engine.ts';

/** The models of a database, with their folders below `dir`, on a machine without a Docker Engine. */
export function modelsWithoutDocker(db: Kysely<Database>, dir: string): Models {
  const config = loadConfig({ env: { CORTEX_MODELS_DIR: join(dir, 'models'), CORTEX_DATA_DIR: join(dir, 'data') } });
  const engine = new DockerEngine({ host: `unix://${dir}/no-docker.sock` });
  return new Models({
    db,
    room: new EngineRoom({
      engine,
      imageOf: (name) => name,
      models: { dir: config.settings.CORTEX_MODELS_DIR, dirHost: config.modelsDirHost },
      network: 'none',
    }),
    gate: new ImageGate({
      images: engine.images,
      policy: config.settings,
      archiveFile: () => 'x.tar',
      configured: [],
    }),
    table: new RoutingTable(),
    config,
    rootSecret: randomBytes(32),
    serving: { openRequests: () => 0, settleMs: 0 },
    health: async () => null,
    gpus: async () => ({ source: 'none', usable: false, gpus: [] }),
    logger: { info: () => undefined, warn: () => undefined },
  });
}
