import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { changesSince } from '../../backend/src/db/model-changes.ts';
import { findModel } from '../../backend/src/db/model-records.ts';
import type { Models } from '../../backend/src/models/models.ts';
import { newModel } from '../../contract/models.ts';
import { writeTinyModel } from '../fixtures/tiny-model.ts';
import { onBothDatabases } from './both-databases.ts';
import { modelsWithoutDocker } from './models-without-docker.ts';

let dir: string;
let counter = 0;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'cortex-edit-'));
  mkdirSync(join(dir, 'models/tiny'), { recursive: true });
  await writeTinyModel(join(dir, 'models/tiny/tiny.gguf'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const secretOptions = {
  context_size: 512,
  threads: 2,
  extra_args: ['--x-token', 'hush-1', '--x-token', 'hush-2', '--yarn-ext-factor', '-1.0'],
  extra_env: { MY_API_KEY: 'hush-3', COLOUR: 'green' },
};
const tiny = (options: object = {}) =>
  newModel.parse({
    name: 'Tiny',
    served_name: `tiny-${++counter}`,
    engine: 'llamacpp',
    folder: 'tiny',
    file: 'tiny.gguf',
    options,
  });

onBothDatabases((database) => {
  let models: Models;
  beforeAll(() => {
    models = modelsWithoutDocker(database().db, dir);
  });
  afterAll(() => models.close());
  const stored = async (id: string) => {
    const record = await findModel(database().db, id);
    if (record === null) throw new Error('the model is gone');
    return record;
  };

  describe('an edit of a model', () => {
    it('changes what it names, gives back what it sets to null, and leaves the rest', async () => {
      const { id } = await models.create(tiny(secretOptions));
      const changed = await models.update(id, { version: 1, name: 'Little', options: { threads: null } }, 'ada');
      expect(changed).toMatchObject({ name: 'Little', version: 2, options: { context_size: 512, threads: null } });
      expect(await stored(id)).toMatchObject({ options: { extra_env: secretOptions.extra_env } });
    });

    it('is refused where the model has changed since, with what was changed and by whom', async () => {
      const { id } = await models.create(tiny());
      await models.update(id, { version: 1, options: { context_size: 1024 } }, 'ada');
      const late = models.update(id, { version: 1, name: 'Late' }, 'bob');
      await expect(late).rejects.toMatchObject({
        code: 'model_changed',
        message: expect.stringMatching(/options\.context_size by ada/),
      });
      expect(await stored(id)).toMatchObject({ name: 'Tiny', version: 2 });
    });

    it('that races with another is refused, and nothing of it is written', async () => {
      const { id } = await models.create(tiny());
      const both = await Promise.allSettled([
        models.update(id, { version: 1, name: 'One' }, 'ada'),
        models.update(id, { version: 1, name: 'Two' }, 'bob'),
      ]);
      expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      expect(await changesSince(database().db, id, 1)).toHaveLength(1);
    });

    it('keeps the secrets that come back hidden, and takes the new ones', async () => {
      const { id, options } = await models.create(tiny(secretOptions));
      expect(JSON.stringify(options)).not.toMatch(/hush/);
      const sent = { ...options, context_size: 2048, extra_env: { ...options.extra_env, DB_PASSWORD: 'new' } };
      await models.update(id, { version: 1, options: sent }, 'ada');
      expect((await stored(id)).options).toMatchObject({
        context_size: 2048,
        extra_args: secretOptions.extra_args,
        extra_env: { ...secretOptions.extra_env, DB_PASSWORD: 'new' },
      });
    });

    it('is refused where a hidden value has nothing behind it', async () => {
      const { id } = await models.create(tiny());
      const edit = { version: 1, options: { extra_env: { MY_API_KEY: '‹hidden›' } } };
      await expect(models.update(id, edit, 'ada')).rejects.toMatchObject({ param: 'options.extra_env.MY_API_KEY' });
      await expect(models.create(tiny(edit.options))).rejects.toMatchObject({ code: 'invalid_request' });
    });

    it.each([
      ['an option that the engine does not have', { options: { nothing: 1 } }, 'invalid_request', 'options'],
      ['a value out of range', { options: { threads: -5 } }, 'invalid_request', 'options.threads'],
      ['a folder that is not there', { folder: 'gone' }, 'folder_not_found', null],
      ['a file that is not in the folder', { file: 'other.gguf' }, 'engine_unfit', 'file'],
      ['no file', { file: null }, 'invalid_request', 'file'],
    ])('with %s is refused as a new model would be', async (_what, edit, code, param) => {
      const { id } = await models.create(tiny());
      await expect(models.update(id, { version: 1, ...edit }, 'ada')).rejects.toMatchObject({ code, param });
      expect(await stored(id)).toMatchObject({ version: 1 });
    });

    it("can't take another model's served name", async () => {
      const [first, second] = [await models.create(tiny()), await models.create(tiny())];
      const taken = models.update(second.id, { version: 1, served_name: first.served_name }, 'ada');
      await expect(taken).rejects.toMatchObject({ code: 'conflict', param: 'served_name' });
      expect(await changesSince(database().db, second.id, 1)).toEqual([]);
    });

    it('that changes nothing makes no version and is told to nobody', async () => {
      const { id } = await models.create(tiny(secretOptions));
      const same = await models.update(id, { version: 1, name: 'Tiny', options: { threads: 2 } }, 'ada');
      expect(same.version).toBe(1);
    });

    it('is written down with who made it, by the names of the fields alone', async () => {
      const { id } = await models.create(tiny());
      await models.update(id, { version: 1, name: 'New', options: { extra_env: { MY_TOKEN: 'hush-3' } } }, 'ada');
      const [change] = await changesSince(database().db, id, 1);
      expect(change).toMatchObject({ version: 2, username: 'ada', fields: ['name', 'options.extra_env.MY_TOKEN'] });
      expect(JSON.stringify(change)).not.toContain('hush');
    });

    it('is told to everyone who follows the models', async () => {
      const { id } = await models.create(tiny());
      const abort = new AbortController();
      const changes = models.changes(abort.signal);
      const told = (async () => {
        for await (const change of changes) if ('model' in change && change.model.version === 2) return change.model;
        return null;
      })();
      await models.update(id, { version: 1, name: 'Told' }, 'ada');
      expect(await told).toMatchObject({ id, name: 'Told' });
      abort.abort();
    });
  });

  describe('the plan of an edit', () => {
    it("does not meet the model's own name as a conflict, and another's it does", async () => {
      const [mine, other] = [await models.create(tiny()), await models.create(tiny())];
      const draft = { ...tiny(), served_name: mine.served_name };
      const conflicts = async (more: object) =>
        (await models.plan({ ...draft, ...more })).issues.filter(({ param }) => param === 'served_name').length;
      expect(await conflicts({ id: mine.id })).toBe(0);
      expect(await conflicts({ id: other.id })).toBe(1);
      expect(await conflicts({})).toBe(1);
    });

    it('tells whether the engine that runs has to start anew', async () => {
      const { id, ...model } = await models.create(tiny(secretOptions));
      const draft = { ...newModel.parse({ ...model, engine: 'llamacpp' }), id };
      expect((await models.plan(draft)).restarts).toBe(false);
      await database().db.updateTable('models').set({ wanted: 'running' }).where('id', '=', id).execute();
      expect((await models.plan({ ...draft, name: 'Other' })).restarts).toBe(false);
      expect((await models.plan({ ...draft, options: { ...draft.options, threads: 1 } })).restarts).toBe(true);
    });
  });
});
