import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeTinyModel } from '../../../tests/fixtures/tiny-model.ts';
import { listModelFolders } from './folder-walk.ts';
import { inspectModelFolder } from './folders.ts';

let dir: string;
let root: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cortex-folders-'));
  root = join(dir, 'models');
  mkdirSync(join(root, 'tiny'), { recursive: true });
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('a link in a model folder', () => {
  it('that leads out of the models folder is not followed, and is named', async () => {
    await writeTinyModel(join(dir, 'outside.gguf'));
    symlinkSync(join(dir, 'outside.gguf'), join(root, 'tiny/linked.gguf'));
    const { candidates, files, problems } = await inspectModelFolder(root, 'tiny');
    expect([candidates, files]).toEqual([[], []]);
    expect(problems).toMatchObject([{ file: 'linked.gguf', message: expect.stringContaining('outside') }]);
    expect(await listModelFolders(root, () => [])).toEqual({ folders: [], incomplete: [] });
  });

  it('that stays inside is a file like any other', async () => {
    mkdirSync(join(root, 'blobs'));
    await writeTinyModel(join(root, 'blobs/tiny.bin'));
    symlinkSync('../blobs/tiny.bin', join(root, 'tiny/linked.gguf'));
    const { candidates, problems } = await inspectModelFolder(root, 'tiny');
    expect(candidates).toMatchObject([{ file: 'linked.gguf', engine: 'llamacpp' }]);
    expect(problems).toEqual([]);
  });
});

it.each([
  [['m-00001-of-00003.gguf', 'm-00002-of-00003.gguf', 'm-00007-of-00003.gguf'], 'part 3'],
  [['m-00001-of-00000.gguf'], 'no part'],
  [['m-00002-of-00002.gguf'], 'part 1'],
])('of the set %j is said what lacks', async (names, missing) => {
  for (const name of names) writeFileSync(join(root, 'tiny', name), '');
  const { candidates, problems } = await inspectModelFolder(root, 'tiny');
  expect(candidates).toEqual([]);
  expect(problems).toHaveLength(1);
  expect(problems[0]?.message).toContain(missing);
});
