import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../backend/src/config.ts';
import { setModelGpus } from '../../backend/src/db/memory-report-records.ts';
import { findModel, setWanted } from '../../backend/src/db/model-records.ts';
import { EngineRoom } from '../../backend/src/models/engine-room/room.ts';
import { ImageGate } from '../../backend/src/models/image-gate.ts';
import { Models } from '../../backend/src/models/models.ts';
import { RoutingTable } from '../../backend/src/routing/table.ts';
import { newModel } from '../../contract/models.ts';
import { DockerEngine } from '../../docker/engine.ts';
import { writeLargeModel } from '../fixtures/large-model.ts';
import { onBothDatabases } from './both-databases.ts';

const GiB = 1024 ** 3;
let dir: string;
let counter = 0;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'cortex-gpus-'));
  mkdirSync(join(dir, 'models/large'), { recursive: true });
  await writeLargeModel(join(dir, 'models/large/large.gguf'), 8);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const large = (context: number) =>
  newModel.parse({
    name: 'Large',
    served_name: `large-${++counter}`,
    engine: 'llamacpp',
    folder: 'large',
    file: 'large.gguf',
    options: { context_size: context, gpu_layers: 99, parallel: 1 },
  });
const gpu = {
  ...{ index: 0, uuid: 'GPU-0', name: 'NVIDIA L4', total_bytes: 24 * GiB, used_bytes: 0, free_bytes: 24 * GiB },
  ...{ driver_version: null, utilization_percent: null },
};

onBothDatabases((database) => {
  const db = () => database().db;
  let models: Models;
  beforeAll(() => {
    const config = loadConfig({ env: { CORTEX_MODELS_DIR: join(dir, 'models'), CORTEX_DATA_DIR: join(dir, 'data') } });
    const engine = new DockerEngine({ host: `unix://${dir}/no-docker.sock` });
    models = new Models({
      db: db(),
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
      gpus: () => Promise.resolve({ source: 'dcgm', usable: true, gpus: [gpu] }),
      logger: { info: () => undefined, warn: () => undefined },
    });
  });
  afterAll(() => models.close());

  describe('an edit of a model that runs', () => {
    it('is refused where it would take memory that another model holds, and then changes nothing', async () => {
      const [other, mine] = [await models.create(large(8192)), await models.create(large(8192))];
      for (const { id } of [other, mine]) {
        await setModelGpus(db(), id, [{ uuid: 'GPU-0', bytes: 10 * GiB, replica: 0 }]);
        await setWanted(db(), id, 'running');
      }
      const before = await findModel(db(), mine.id);
      await expect(
        models.update(mine.id, { version: 1, options: { context_size: 65_536 } }, 'ada'),
      ).rejects.toMatchObject({ code: 'gpu_memory_held', message: expect.stringContaining(other.served_name) });
      expect(await findModel(db(), mine.id)).toEqual(before);
      expect((await models.plan({ ...large(65_536), id: mine.id })).memory).toMatchObject({ fits: false });

      await models.update(mine.id, { version: 1, options: { context_size: 16_384 } }, 'ada');
      const [share] = (await findModel(db(), mine.id))?.gpus ?? [];
      expect((share?.bytes ?? 0) / GiB).toBeCloseTo(7 + 2 + 0.3 + 0.3, 0);
      for (const { id } of [other, mine]) await setWanted(db(), id, 'stopped');
    });
  });
});
