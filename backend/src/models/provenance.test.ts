import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeGguf, text } from '../../../tests/fixtures/gguf-file.ts';
import { writeTinyModel } from '../../../tests/fixtures/tiny-model.ts';
import { inspectModelFolder } from './folders.ts';
import { licenseOfCard } from './provenance.ts';

const commit = '0123456789abcdef0123456789abcdef01234567';
let root: string;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'cortex-provenance-'));
  mkdirSync(join(root, 'm'));
  await writeTinyModel(join(root, 'm/tiny.gguf'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(path: string, content: string | Buffer): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}

async function told(folder = 'm'): Promise<unknown> {
  const { license, license_file, source } = await inspectModelFolder(root, folder);
  return { license, license_file, source };
}

describe('where a model came from', () => {
  it('is nothing where nothing tells it', async () => {
    expect(await told()).toEqual({ license: null, license_file: null, source: null });
  });

  it('is what Cortex wrote beside it', async () => {
    put('m/.cortex-source.json', JSON.stringify({ repository: 'org/name', revision: commit, licence: 'mit' }));
    put('m/README.md', '---\nlicense: apache-2.0\n---\n');
    put('m/LICENSE.txt', 'MIT License');
    expect(await told()).toEqual({
      license: 'mit',
      license_file: 'LICENSE.txt',
      source: { repository: 'org/name', revision: commit },
    });
  });

  it('is the commit that huggingface_hub noted at the download', async () => {
    put('m/.cache/huggingface/download/tiny.gguf.metadata', `${commit}\n"etag"\n1700000000.0\n`);
    expect(await told()).toMatchObject({ source: { repository: null, revision: commit } });
  });

  it('is in the names of the folders of its cache', async () => {
    const folder = `hub/models--org--name--v2/snapshots/${commit}`;
    mkdirSync(join(root, folder), { recursive: true });
    await writeTinyModel(join(root, folder, 'tiny.gguf'));
    expect(await told(folder)).toMatchObject({ source: { repository: 'org/name--v2', revision: commit } });
  });

  it.each([['{'], ['{"repository": 3}'], ['[]'], ['']])('is nothing where what is written is %j', async (content) => {
    put('m/.cortex-source.json', content);
    put('m/.cache/huggingface/download/tiny.gguf.metadata', content);
    expect(await told()).toMatchObject({ source: null });
  });

  it('is not read through a link that leads out of the models folder', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'cortex-outside-'));
    try {
      writeFileSync(join(outside, 'x.json'), JSON.stringify({ repository: 'a/b', revision: null, licence: 'mit' }));
      symlinkSync(join(outside, 'x.json'), join(root, 'm/.cortex-source.json'));
      mkdirSync(join(outside, 'huggingface/download'), { recursive: true });
      writeFileSync(join(outside, 'huggingface/download/tiny.gguf.metadata'), commit);
      symlinkSync(outside, join(root, 'm/.cache'));
      expect(await told()).toEqual({ license: null, license_file: null, source: null });
    } finally {
      rmSync(outside, { recursive: true });
    }
  });
});

describe('the licence', () => {
  it('is what the weights name where no card does', async () => {
    const metadata = { 'general.architecture': text('llama'), 'general.license': text('llama3.1') };
    put('m/tiny.gguf', makeGguf({ metadata, tensors: [{ name: 'a', type: 0, shape: [1], bytes: 4 }] }));
    expect(await told()).toMatchObject({ license: 'llama3.1' });
    put('m/README.md', '---\nlicense: gemma\n---');
    expect(await told()).toMatchObject({ license: 'gemma' });
  });

  it.each([
    ['---\nlicense: apache-2.0\ntags: []\n---\n# Card', 'apache-2.0'],
    ['---\r\nlanguage: en\r\nlicense: "mit"\r\n---\r\n', 'mit'],
    ['---\nlicense: other\nlicense_name: qwen-research\n---\n', 'qwen-research'],
    ['---\nlicense: other\n---\n', 'other'],
    ['---\nlicense:\n- mit\n---\n', null],
    ['# Card\n---\nlicense: mit\n---\n', null],
    ['---\nlicense: mit\n', null],
    ['', null],
  ])('of the card %j is %j', (card, license) => {
    expect(licenseOfCard(card)).toBe(license);
  });
});
