import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { i32, makeGguf, text, u16 } from '../../../tests/fixtures/gguf-file.ts';
import { makeSafetensors } from '../../../tests/fixtures/safetensors-file.ts';
import { writeTinyModel } from '../../../tests/fixtures/tiny-model.ts';
import { readGgufOf, readSafetensorsOf } from './model-files.ts';

let root: string;
let dir: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cortex-model-files-'));
  dir = join(root, 'm');
  mkdirSync(dir);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const write = (name: string, content: Buffer | string) => writeFileSync(join(dir, name), content);
const shard = (...names: string[]) =>
  makeSafetensors(names.map((name) => ({ name, dtype: 'F16', shape: [2], bytes: 4 })));
const index = (map: Record<string, string>) =>
  write('model.safetensors.index.json', JSON.stringify({ metadata: { total_size: 8 }, weight_map: map }));

describe('a GGUF model of a folder', () => {
  it('is read by the name of its file', async () => {
    await writeTinyModel(join(dir, 'tiny.gguf'));
    const { metadata, tensors } = await readGgufOf(root, 'm', 'tiny.gguf');
    expect([metadata.get('llama.block_count'), tensors.length]).toEqual([2, 21]);
    await expect(readGgufOf(root, 'm', 'other.gguf')).rejects.toThrow('no such model');
    await expect(readGgufOf(root, '../m', 'tiny.gguf')).rejects.toMatchObject({ code: 'folder_outside' });
  });

  it('is read as the set that was chosen, where there are several', async () => {
    for (const quantization of ['Q4_K_M', 'Q8_0']) {
      for (const [number, tensor] of ['a', 'b'].entries()) {
        const metadata = { 'split.no': u16(number), 'split.count': u16(2), 'split.tensors.count': i32(2) };
        const draft = {
          metadata: { ...metadata, 'general.name': text(quantization) },
          tensors: [{ name: tensor, type: 0, shape: [8], bytes: 32 }],
        };
        write(`model-${quantization}-0000${number + 1}-of-00002.gguf`, makeGguf(draft));
      }
    }
    const { metadata, tensors } = await readGgufOf(root, 'm', 'model-Q8_0-00001-of-00002.gguf');
    expect([metadata.get('general.name'), tensors.length]).toEqual(['Q8_0', 2]);
  });
});

describe('a safetensors model of a folder', () => {
  beforeEach(() => write('config.json', '{"architectures": ["LlamaForCausalLM"], "limit": [0.0, Infinity, "NaN"]}'));

  it('is read with its configuration, also as Python writes it', async () => {
    write('model.safetensors', shard('a', 'b'));
    const { config, tensors } = await readSafetensorsOf(root, 'm');
    expect(config).toEqual({ architectures: ['LlamaForCausalLM'], limit: [0, null, 'NaN'] });
    expect(tensors.map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it('is the shards that the index names, and no other file', async () => {
    write('model-00001-of-00002.safetensors', shard('a'));
    write('model-00002-of-00002.safetensors', shard('b'));
    write('consolidated.safetensors', shard('a', 'b'));
    index({ a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors' });
    expect((await readSafetensorsOf(root, 'm')).tensors.map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it('is read through links that stay inside the models folder', async () => {
    write('model-00001-of-00001.safetensors', shard('a'));
    mkdirSync(join(root, 'blobs'));
    renameSync(join(dir, 'model-00001-of-00001.safetensors'), join(root, 'blobs/0123abcd'));
    symlinkSync('../blobs/0123abcd', join(dir, 'model-00001-of-00001.safetensors'));
    index({ a: 'model-00001-of-00001.safetensors' });
    expect((await readSafetensorsOf(root, 'm')).tensors).toHaveLength(1);
  });

  it.each<[string, () => void, string | null, string]>([
    [
      'a shard that the index names and that is not there',
      () => index({ a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors' }),
      null,
      '1 of 2 shards is missing that model.safetensors.index.json names: model-00002-of-00002.safetensors',
    ],
    [
      'a tensor that is not in the shard that the index names',
      () => index({ a: 'model-00001-of-00002.safetensors', z: 'model-00001-of-00002.safetensors' }),
      'model-00001-of-00002.safetensors',
      'it lacks "z", which the index places in it',
    ],
    [
      'a shard that is missing by the number in the names',
      () => {},
      null,
      '1 of 2 shards is missing, the first of them shard 2',
    ],
    ['two sets of weights', () => write('other.safetensors', shard('a')), null, '2 sets of weights'],
    [
      'an index that leads elsewhere',
      () => index({ a: '../x.safetensors' }),
      'model.safetensors.index.json',
      'no file of this folder',
    ],
    [
      'an index without a map',
      () => write('model.safetensors.index.json', '{}'),
      'model.safetensors.index.json',
      'no weight_map',
    ],
    ['an empty index', () => index({}), 'model.safetensors.index.json', 'names no tensor'],
    [
      'a configuration that is none',
      () => {
        index({ a: 'model-00001-of-00002.safetensors' });
        write('config.json', '[');
      },
      'config.json',
      'not a JSON object',
    ],
  ])('is refused for %s', async (_, spoil, file, message) => {
    write('model-00001-of-00002.safetensors', shard('a'));
    spoil();
    const error = await readSafetensorsOf(root, 'm').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'ModelFileError', file });
    expect(String(error)).toContain(message);
  });

  it('is refused where two shards hold the same tensor', async () => {
    write('model-00001-of-00002.safetensors', shard('a'));
    write('model-00002-of-00002.safetensors', shard('a'));
    await expect(readSafetensorsOf(root, 'm')).rejects.toMatchObject({
      file: 'model-00002-of-00002.safetensors',
      message: 'it repeats "a" of model-00001-of-00002.safetensors',
    });
  });

  it('is refused without config.json', async () => {
    rmSync(join(dir, 'config.json'));
    await expect(readSafetensorsOf(root, 'm')).rejects.toMatchObject({ file: 'config.json', message: 'it is missing' });
  });
});
