import { describe, expect, it } from 'vitest';
import { ModelList } from '../../backend/src/db/model-list.ts';
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

  describe('the list of models', () => {
    it('has what is in the database at each reading, whoever wrote it', async () => {
      const list = new ModelList(db());
      const made = await models.insertModel(db(), gguf());
      expect(await list.read()).toEqual(await models.listModels(db()));
      await models.setWanted(db(), made.id, 'running');
      expect(await list.read()).toContainEqual({ ...made, wanted: 'running' });
      await db().updateTable('models').set({ name: 'Other' }).where('id', '=', made.id).execute();
      const added = await models.insertModel(db(), gguf());
      expect(await list.read()).toEqual(await models.listModels(db()));
      await models.deleteModel(db(), made.id);
      const ids = (await list.read()).map(({ id }) => id);
      expect(ids).not.toContain(made.id);
      expect(ids.at(-1)).toBe(added.id);
    });

    it('is not read again until something was written, be it while it was being read', async () => {
      const list = new ModelList(db());
      const before = await list.latest();
      expect(await list.latest()).toBe(before);
      const reading = list.read();
      const added = await models.insertModel(db(), gguf());
      list.written();
      await reading;
      expect((await list.latest()).map(({ id }) => id)).toContain(added.id);
    });

    it('keeps a model as the same object until it is written', async () => {
      const list = new ModelList(db());
      const [one, other] = [await models.insertModel(db(), gguf()), await models.insertModel(db(), gguf())];
      const find = async (id: string) => (await list.read()).find((model) => model.id === id);
      const [before, otherBefore] = [await find(one.id), await find(other.id)];
      await models.setWanted(db(), one.id, 'running');
      expect(await find(one.id)).not.toBe(before);
      expect(await find(other.id)).toBe(otherBefore);
    });
  });
});
