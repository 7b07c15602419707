import { mkdirSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeTinyModel } from '../../../tests/fixtures/tiny-model.ts';
import { filesOfFolder } from './folder-files.ts';
import { FolderOffers } from './folder-offers.ts';

let root: string;
let dir: string;
let offers: FolderOffers;
const versions = { vllm: '0.6.3', llamacpp: null };
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cortex-offers-'));
  dir = join(root, 'm');
  mkdirSync(dir);
  writeFileSync(join(dir, 'tiny.gguf'), makeTinyModel());
  offers = new FolderOffers();
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const ask = async (known = versions) => offers.of(dir, (await filesOfFolder(dir, root)).files, 'm', known);

it('a folder that did not change is read once, also by two who ask at once', async () => {
  const [first, second] = await Promise.all([ask(), ask()]);
  expect(second).toBe(first);
  expect(await ask()).toBe(first);
});

it('a file that changed is read again, though its size and time are as they were', async () => {
  const before = await ask();
  const { atime, mtime, size } = statSync(join(dir, 'tiny.gguf'));
  // The clock of the file system has ticks.
  await new Promise((resolve) => setTimeout(resolve, 20));
  writeFileSync(join(dir, 'tiny.gguf'), Buffer.alloc(size));
  utimesSync(join(dir, 'tiny.gguf'), atime, mtime);
  const after = await ask();
  expect([before[0]?.candidates.length, after[0]?.candidates.length]).toEqual([1, 0]);
});

it('a file that came, and another version of an engine, are seen', async () => {
  const before = await ask();
  expect(await ask({ vllm: '0.9.0', llamacpp: null })).not.toBe(before);
  writeFileSync(join(dir, 'second.gguf'), makeTinyModel());
  expect((await ask())[0]?.candidates).toHaveLength(2);
});

it('only the folders asked of last are held', async () => {
  const first = await ask();
  const { files } = await filesOfFolder(dir, root);
  for (let other = 0; other < 40; other += 1) await offers.of(`${dir}${other}`, files, 'm', versions);
  expect(await ask()).not.toBe(first);
});
