import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type GgufField, i32, list, makeGguf, text, u16, u32 } from '../../../tests/fixtures/gguf-file.ts';
import { makeTinyModel, writeTinyModel } from '../../../tests/fixtures/tiny-model.ts';
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

const write = (name: string, content: Buffer | string) => writeFileSync(join(root, 'tiny', name), content);
const inspect = (versions?: { vllm: string | null; llamacpp: string | null }) =>
  inspectModelFolder(root, 'tiny', versions);

const vocabulary = { 'tokenizer.ggml.tokens': list(8, [text('a')]), 'tokenizer.chat_template': text('{{ messages }}') };
const usual = { 'general.architecture': text('llama'), 'llama.context_length': u32(4096), ...vocabulary };
const weight = { name: 'output.weight', type: 12, shape: [256, 4], bytes: 576 };
const gguf = (metadata: Record<string, GgufField>, tensors = [weight]) =>
  makeGguf({ metadata: { ...usual, ...metadata }, tensors });

describe('a link in a model folder', () => {
  it('that leads out of the models folder is not followed, and is named', async () => {
    await writeTinyModel(join(dir, 'outside.gguf'));
    symlinkSync(join(dir, 'outside.gguf'), join(root, 'tiny/linked.gguf'));
    const { candidates, files, problems } = await inspect();
    expect([candidates, files]).toEqual([[], []]);
    expect(problems).toMatchObject([{ file: 'linked.gguf', message: expect.stringContaining('outside') }]);
    expect(await listModelFolders(root, () => [])).toEqual({ folders: [], incomplete: [] });
  });

  it('that stays inside is a file like any other', async () => {
    mkdirSync(join(root, 'blobs'));
    await writeTinyModel(join(root, 'blobs/tiny.bin'));
    symlinkSync('../blobs/tiny.bin', join(root, 'tiny/linked.gguf'));
    const { candidates, problems } = await inspect();
    expect(candidates).toMatchObject([{ file: 'linked.gguf', engine: 'llamacpp' }]);
    expect(problems).toEqual([]);
  });
});

describe('a GGUF model', () => {
  it('is offered with all that its file tells', async () => {
    const bytes = makeTinyModel();
    write('tiny.gguf', bytes);
    expect((await inspect()).candidates).toEqual([
      {
        ...{ engine: 'llamacpp', task: 'generate', file: 'tiny.gguf', label: 'Cortex tiny test model', parts: 1 },
        ...{ sizeBytes: bytes.length, architecture: 'llama', context_length: 4096, quantization: 'F32', warnings: [] },
        not_for: { engine: 'vllm', reason: expect.any(String) },
      },
    ]);
  });

  it.each([
    [{ 'general.file_type': u32(15) }, 'Q4_K_M'],
    // 1024 is a guess of llama.cpp's, and 999 nobody's: the weights themselves tell.
    [{ 'general.file_type': u32(1024) }, 'Q4_K'],
    [{ 'general.file_type': u32(999) }, 'Q4_K'],
    [{}, 'Q4_K'],
  ])('has the quantisation of its file or else of its weights: %#', async (metadata, quantization) => {
    write('m.gguf', gguf(metadata));
    expect((await inspect()).candidates).toMatchObject([{ quantization }]);
  });

  it.each<[string, Record<string, GgufField>, string]>([
    ['an encoder', { 'general.architecture': text('nomic-bert') }, 'embed'],
    ['one that pools', { 'llama.pooling_type': u32(3) }, 'embed'],
    ['one that does not pool', { 'llama.pooling_type': u32(0) }, 'generate'],
  ])('makes vectors or texts: %s', async (_, metadata, task) => {
    write('m.gguf', gguf(metadata));
    expect((await inspect()).candidates).toMatchObject([{ task }]);
  });

  it.each<[string, Buffer, RegExp]>([
    ['a new architecture', gguf({ 'general.architecture': text('zephyr9') }), /zephyr9 is not in llama\.cpp's list/],
    ['a reranker', gguf({ 'llama.pooling_type': u32(4) }), /reranker/],
    ['a new number type', gguf({}, [{ ...weight, type: 77 }]), /does not know \(77\)/],
    ['bytes behind the weights', Buffer.concat([gguf({}), Buffer.alloc(1000)]), /1,000 bytes stand behind/],
  ])('is offered with a warning: %s', async (_, bytes, warning) => {
    write('m.gguf', bytes);
    const { candidates } = await inspect();
    expect(candidates).toHaveLength(1);
    expect(candidates[0]?.warnings).toEqual([expect.stringMatching(warning)]);
  });

  it('is offered with a warning where it has no vocabulary and no chat template', async () => {
    write('m.gguf', makeGguf({ metadata: { 'general.architecture': text('llama') }, tensors: [weight] }));
    expect((await inspect()).candidates[0]?.warnings).toEqual([
      expect.stringContaining('no vocabulary'),
      expect.stringContaining('no chat template'),
    ]);
  });

  it('is a candidate for each quantisation of the folder, told apart by its name where nothing else does', async () => {
    write('m-Q4_K_M.gguf', gguf({ 'general.name': text('M'), 'general.file_type': u32(15) }));
    write('m-Q8_0.gguf', gguf({ 'general.name': text('M'), 'general.file_type': u32(7) }));
    write('m-UD-Q8_0.gguf', gguf({ 'general.name': text('M'), 'general.file_type': u32(7) }));
    const shown = (await inspect()).candidates.map(({ label, quantization, file }) => [label, quantization, file]);
    expect(shown).toEqual([
      ['M', 'Q4_K_M', 'm-Q4_K_M.gguf'],
      ['m-Q8_0', 'Q8_0', 'm-Q8_0.gguf'],
      ['m-UD-Q8_0', 'Q8_0', 'm-UD-Q8_0.gguf'],
    ]);
  });

  it('may be sets of parts, each a candidate; the parts of one are never taken for another', async () => {
    for (const [name, count] of [
      ['q4', 2],
      ['q4', 3],
      ['q8', 2],
    ] as const) {
      for (let part = 0; part < count; part += 1) {
        const metadata = { 'split.no': u16(part), 'split.count': u16(count), 'split.tensors.count': i32(count) };
        const tensors = [{ ...weight, name: `blk.${part}.weight` }];
        write(`m-${name}-0000${part + 1}-of-0000${count}.gguf`, gguf(metadata, tensors));
      }
    }
    const { candidates, problems } = await inspect();
    expect(problems).toEqual([]);
    expect(candidates.map(({ file, parts }) => [file, parts])).toEqual([
      ['m-q4-00001-of-00002.gguf', 2],
      ['m-q4-00001-of-00003.gguf', 3],
      ['m-q8-00001-of-00002.gguf', 2],
    ]);
  });

  it('that was cut short is named, with how many bytes it lacks', async () => {
    write('m.gguf', gguf({}).subarray(0, -100));
    const { candidates, problems } = await inspect();
    expect(candidates).toEqual([]);
    expect(problems).toEqual([
      { file: 'm.gguf', message: expect.stringMatching(/it is cut short, 100 of [\d,]+ bytes missing\.$/) },
    ]);
  });

  it('whose second part was cut short is named by that part', async () => {
    for (const part of [0, 1]) {
      const metadata = { 'split.no': u16(part), 'split.count': u16(2), 'split.tensors.count': i32(2) };
      const bytes = gguf(metadata, [{ ...weight, name: `blk.${part}.weight` }]);
      write(`m-0000${part + 1}-of-00002.gguf`, part === 0 ? bytes : bytes.subarray(0, -7));
    }
    expect((await inspect()).problems).toMatchObject([
      { file: 'm-00002-of-00002.gguf', message: expect.stringContaining('7 of') },
    ]);
  });

  it.each([
    [['m-00001-of-00003.gguf', 'm-00002-of-00003.gguf', 'm-00007-of-00003.gguf'], 'part 3'],
    [['m-00001-of-00000.gguf'], 'no part'],
    [['m-00002-of-00002.gguf'], 'part 1'],
    [['m-00001-of-00002.gguf', 'm-00002-of-00002.gguf', 'm-00000-of-00002.gguf'], 'part 0'],
  ])('of the set %j is said what lacks', async (names, missing) => {
    for (const name of names) write(name, '');
    const { candidates, problems } = await inspect();
    expect(candidates).toEqual([]);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.message).toContain(missing);
  });
});

it('a name from a file is shown on one line, and no longer than a name is', async () => {
  write('m.gguf', gguf({ 'general.name': text(`\n\u001b[31m evil\u202e ${'x'.repeat(50_000)}`) }));
  write('n.gguf', gguf({ 'general.name': text(' \n ') }));
  const [first, second] = (await inspect()).candidates;
  expect(first?.label).toMatch(/^\[31m evil x{50,90}$/);
  expect(second?.label).toBe('n');
});

describe('a GGUF file that is no model', () => {
  it.each<[string, Record<string, GgufField>, RegExp]>([
    ['a projector', { 'general.architecture': text('clip') }, /projector/],
    ['a projector by its type', { 'general.type': text('mmproj') }, /option mmproj/],
    ['a LoRA adapter', { 'general.type': text('adapter') }, /LoRA adapter of a llama model/],
    ['an importance matrix', { 'general.type': text('imatrix') }, /importance matrix/],
    ['a draft', { 'general.architecture': text('eagle3') }, /goes along with a model/],
  ])('is noted and not offered: %s', async (_, metadata, note) => {
    write('m.gguf', gguf({}));
    write('other.gguf', gguf(metadata));
    const { candidates, notes, problems } = await inspect();
    expect(candidates.map(({ file }) => file)).toEqual(['m.gguf']);
    expect(notes).toEqual([{ file: 'other.gguf', message: expect.stringMatching(note) }]);
    expect(problems).toEqual([]);
  });

  it('is a problem where it holds a vocabulary only, or no architecture', async () => {
    write('a.gguf', gguf({}, []));
    write('b.gguf', makeGguf({ metadata: {}, tensors: [weight] }));
    expect((await inspect()).problems).toMatchObject([
      { file: 'a.gguf', message: expect.stringContaining('no weights') },
      { file: 'b.gguf', message: expect.stringContaining('no architecture') },
    ]);
  });
});

it('of an empty folder is said what belongs there, of weights that can run code why they are not taken', async () => {
  expect((await inspect()).problems).toMatchObject([
    { file: null, message: expect.stringMatching(/in this folder\.$/) },
  ]);
  write('pytorch_model.bin', 'x');
  expect((await inspect()).problems).toMatchObject([{ message: expect.stringContaining('run code') }]);
});
