import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { newModel } from '../../contract/models.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';
import { onBothDatabases } from './both-databases.ts';
import { modelsWithoutDocker } from './models-without-docker.ts';

let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'cortex-deleted-'));
  mkdirSync(join(dir, 'models/tiny'), { recursive: true });
  await writeTinyModel(join(dir, 'models/tiny/tiny.gguf'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

onBothDatabases((database) => {
  it('a model that is deleted while Docker is being asked does not come back by the answer', async () => {
    const asking: Socket[] = [];
    const docker = createServer((socket) => void asking.push(socket));
    await new Promise<void>((resolve) => docker.listen(join(dir, 'no-docker.sock'), resolve));
    const models = modelsWithoutDocker(database().db, dir);
    const stop = new AbortController();
    const told: string[] = [];
    const listening = (async () => {
      for await (const change of models.changes(stop.signal))
        told.push('deleted' in change ? 'deleted' : 'model' in change ? `model ${change.model.state}` : 'event');
    })();
    try {
      const files = { engine: 'llamacpp', folder: 'tiny', file: 'tiny.gguf' } as const;
      const { id } = await models.create(newModel.parse({ ...files, name: 'Tiny', served_name: 'tiny' }));
      models.supervise();
      await vi.waitUntil(() => asking.length > 0);
      await models.delete(id);
      docker.close();
      for (const socket of asking) socket.destroy();
      // The look that began before ends, and the one after it as well.
      await new Promise((resolve) => setTimeout(resolve, 1000));
      expect(models.count()).toEqual({ ready: 0, total: 0 });
      expect(told.at(-1)).toBe('deleted');
    } finally {
      stop.abort();
      await listening;
      await models.close();
    }
  });
});
