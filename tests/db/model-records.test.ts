import { describe, expect, it } from 'vitest';
import * as models from '../../backend/src/db/model-records.ts';
import { newModel } from '../../contract/models.ts';
import { onBothDatabases } from './both-databases.ts';

let counter = 0;
const gguf = () =>
  newModel.parse({
    name: 'Tiny',
    served_name: `tiny-${++counter}`,
    folder: 'tiny',
    engine: 'llamacpp',
    file: 'tiny.gguf',
    options: { context_size: 2048 },
  });

onBothDatabases((database) => {
  const db = () => database().db;

  describe('a model', () => {
    it('comes back as it was made, with what it left open', async () => {
      const made = await models.insertModel(db(), gguf());
      expect(made.id).toMatch(/^mdl_[a-z2-7]{16}$/);
      expect(made).toMatchObject({ wanted: 'stopped', options: { context_size: 2048, threads: null } });
      expect(await models.findModel(db(), made.id)).toEqual(made);
      expect(await models.listModels(db())).toContainEqual(made);
    });

    it('of vLLM has no file', async () => {
      const served_name = `big-${++counter}`;
      const input = newModel.parse({ name: 'Big', served_name, folder: 'big', engine: 'vllm' });
      const made = await models.insertModel(db(), input);
      expect(await models.findModel(db(), made.id)).toMatchObject({ engine: 'vllm', file: null });
    });

    it('cannot be served under the name of another', async () => {
      const input = gguf();
      await models.insertModel(db(), input);
      await expect(models.insertModel(db(), input)).rejects.toMatchObject({ code: 'conflict', param: 'served_name' });
    });

    it('remembers what is wanted of it until it is deleted', async () => {
      const { id } = await models.insertModel(db(), gguf());
      expect(await models.setWanted(db(), id, 'running')).toBe(true);
      expect((await models.findModel(db(), id))?.wanted).toBe('running');
      expect(await models.deleteModel(db(), id)).toBe(true);
      expect(await models.deleteModel(db(), id)).toBe(false);
      expect(await models.setWanted(db(), id, 'running')).toBe(false);
      expect(await models.findModel(db(), id)).toBeNull();
    });
  });
});
