import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { modelSource, modelSourceFile } from '../contract/model-source.ts';
import { writeModelSource } from './model-source.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cortex-source-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const file = () => join(folder, modelSourceFile);
const hub = { source: 'hf:org/name', revision: '0123abcd', licence: 'mit' };

it('a model of a hub is written down with its repository, commit and licence', async () => {
  await writeModelSource(folder, hub);
  expect(modelSource.parse(JSON.parse(readFileSync(file(), 'utf8')))).toEqual({
    repository: 'org/name',
    revision: '0123abcd',
    licence: 'mit',
  });
});

it('the same again leaves the file alone', async () => {
  await writeModelSource(folder, hub);
  const { ino } = statSync(file());
  await writeModelSource(folder, hub);
  expect(statSync(file()).ino).toBe(ino);
});

it('a model of a plain folder has nothing to write down, and what was there stays', async () => {
  const plain = { source: 'path', revision: null, licence: null };
  await writeModelSource(folder, plain);
  expect(existsSync(file())).toBe(false);
  await writeModelSource(folder, hub);
  await writeModelSource(folder, plain);
  expect(existsSync(file())).toBe(true);
});
