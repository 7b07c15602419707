import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listModelFolders } from './folder-walk.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cortex-walk-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const bounds = { depth: 5, entries: 1000, folders: 100, timeMs: 20_000 };
const put = (path: string, bytes = 1) => {
  mkdirSync(join(root, path, '..'), { recursive: true });
  writeFileSync(join(root, path), Buffer.alloc(bytes));
};
const walk = (changed: Partial<typeof bounds> = {}) => listModelFolders(root, () => [], { ...bounds, ...changed });
const namesOf = async () => (await walk()).folders.map(({ folder }) => folder);

describe('listModelFolders', () => {
  it('finds models at every level, with their size and who uses them', async () => {
    put('tiny/a.gguf', 10);
    put('org/model/Q4_K_M/model-00001-of-00002.gguf', 20);
    put('org/model/Q4_K_M/model-00002-of-00002.gguf', 5);
    put('org/other/model.safetensors', 7);
    put('org/other/config.json', 3);
    put('notes/readme.txt');
    const { folders, incomplete } = await listModelFolders(root, (folder) => (folder === 'tiny' ? ['a'] : []), bounds);
    expect(folders).toEqual([
      { folder: 'org/model/Q4_K_M', sizeBytes: 25, formats: ['gguf'], used_by: [] },
      { folder: 'org/other', sizeBytes: 7, formats: ['safetensors'], used_by: [] },
      { folder: 'tiny', sizeBytes: 10, formats: ['gguf'], used_by: ['a'] },
    ]);
    expect(incomplete).toEqual([]);
  });

  it('passes over hidden folders and the last layers of a sentence model', async () => {
    put('.cache/a/x.gguf');
    put('e5/model.safetensors');
    put('e5/modules.json');
    put('e5/2_Dense/model.safetensors');
    put('e5/onnx/model.safetensors');
    expect(await namesOf()).toEqual(['e5', 'e5/onnx']);
  });

  it('goes into no link, so that a circle has no end to find', async () => {
    put('org/model/a.gguf');
    symlinkSync('..', join(root, 'org/model/up'));
    symlinkSync(root, join(root, 'org/all'));
    expect(await namesOf()).toEqual(['org/model']);
  });

  it('counts no socket, no folder with the name of a model, and no link that leads nowhere or out', async () => {
    mkdirSync(join(root, 'a/b.gguf'), { recursive: true });
    const socket = createServer().listen(join(root, 'a/c.gguf'));
    await once(socket, 'listening');
    symlinkSync('nowhere', join(root, 'a/d.gguf'));
    symlinkSync('/etc/hostname', join(root, 'a/e.gguf'));
    expect(await namesOf()).toEqual([]);
    socket.close();
  });

  it.each([
    ['depth', { depth: 1 }, ['one'], 'more than 1 levels down'],
    ['folders', { folders: 1 }, ['one'], 'After 1 folders with models'],
    ['entries', { entries: 3 }, ['one'], 'After 3 files and folders'],
    ['time', { timeMs: -1 }, [], 'the search stopped'],
  ])('says at which bound it stopped: %s', async (_, changed, folders, said) => {
    put('one/a.gguf');
    put('two/three/b.gguf');
    put('two/three/four/c.gguf');
    const result = await walk(changed);
    expect(result.folders.map(({ folder }) => folder)).toEqual(folders);
    expect(result.incomplete).toEqual([expect.stringContaining(said)]);
  });

  it('stops in the midst of a folder with very many files', async () => {
    mkdirSync(join(root, 'many'));
    for (let index = 0; index < 300; index += 1) writeFileSync(join(root, `many/${index}.txt`), '');
    put('many/z.gguf');
    expect((await walk({ entries: 100 })).incomplete).toEqual([expect.stringContaining('After 100 files')]);
    expect((await walk()).folders).toHaveLength(1);
  });

  it('goes on where it may not look', async () => {
    put('closed/a.gguf');
    put('open/b.gguf');
    chmodSync(join(root, 'closed'), 0);
    try {
      expect(await namesOf()).toContain('open');
    } finally {
      chmodSync(join(root, 'closed'), 0o755);
    }
  });

  it('says that models outside of any folder are not offered', async () => {
    put('loose.gguf');
    expect(await walk()).toEqual({ folders: [], incomplete: [expect.stringContaining('a folder of its own')] });
  });

  it('has nothing to say of a root that is not there', async () => {
    expect(await listModelFolders(join(root, 'none'), () => [])).toEqual({ folders: [], incomplete: [] });
  });
});
