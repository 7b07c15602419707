import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sourceOf } from '../../../../tests/fixtures/byte-source.ts';
import {
  bool,
  type GgufDraft,
  i32,
  list,
  makeGguf,
  text,
  u16,
  u32,
  u64,
} from '../../../../tests/fixtures/gguf-file.ts';
import { makeTinyModel } from '../../../../tests/fixtures/tiny-model.ts';
import { ModelFileError } from './byte-source.ts';
import { ggmlTypes } from './ggml-types.ts';
import { readGguf, readGgufModel } from './gguf.ts';

const llama = { 'general.architecture': text('llama') };
const weight = { name: 'output.weight', type: 0, shape: [8, 4], bytes: 128 };
const read = (draft: GgufDraft) => readGguf(sourceOf(makeGguf(draft)));

describe('readGguf', () => {
  it('reads a whole model: metadata, the length of its vocabulary, each tensor', async () => {
    const { metadata, passedOver, tensors, surplusBytes } = await readGguf(sourceOf(makeTinyModel()));
    expect(metadata.get('general.name')).toBe('Cortex tiny test model');
    expect(metadata.get('llama.context_length')).toBe(4096);
    expect(metadata.get('tokenizer.ggml.tokens')).toHaveLength(424);
    expect(passedOver.size).toBe(0);
    expect(tensors).toHaveLength(21);
    expect(tensors[0]).toEqual({ name: 'token_embd.weight', type: 'F32', shape: [64, 424], bytes: 64 * 424 * 4 });
    expect(surplusBytes).toBe(0);
  });

  it('reads values of every kind', async () => {
    const metadata = {
      a: bool(true),
      b: i32(-3),
      c: u16(7),
      d: u64(2n ** 40n),
      e: list(5, [i32(1), i32(2)]),
      f: text('ü'),
    };
    expect(Object.fromEntries((await read({ metadata })).metadata)).toEqual({
      ...{ a: true, b: -3, c: 7, d: 2 ** 40, e: [1, 2], f: 'ü' },
    });
  });

  it('passes over a long vocabulary without holding it, and reads what stands behind it', async () => {
    const words = Array.from({ length: 300_000 }, (_, index) => text(`word ${index}`));
    const numbers = list(
      6,
      Array.from({ length: 300_000 }, () => u32(0)),
    );
    const metadata = { 'tokenizer.ggml.tokens': list(8, words), scores: numbers, 'general.name': text('behind') };
    const source = sourceOf(makeGguf({ metadata }));
    const found = await readGguf(source);
    expect([...found.passedOver]).toEqual([
      ['tokenizer.ggml.tokens', 300_000],
      ['scores', 300_000],
    ]);
    expect([...found.metadata]).toEqual([['general.name', 'behind']]);
    // The numbers have a fixed size: they were not even read.
    expect(source.readBytes).toBeLessThan(source.sizeBytes - 500_000);
  });

  it.each([...ggmlTypes])('knows the size of number type %i', async (type, { name, blockItems, blockBytes }) => {
    const tensors = [
      { name: 'a', type, shape: [blockItems * 2, 3], bytes: blockBytes * 6 },
      { ...weight, name: 'b' },
    ];
    expect((await read({ metadata: llama, tensors })).tensors[0]).toMatchObject({ type: name, bytes: blockBytes * 6 });
  });

  it('takes the size of a number type that is newer than it from the place of the next tensor', async () => {
    const tensors = [{ name: 'a', type: 99, shape: [64], bytes: 96 }, weight];
    expect((await read({ metadata: llama, tensors })).tensors[0]).toMatchObject({ type: 'type 99', bytes: 96 });
  });

  it('obeys the alignment that the file names', async () => {
    const tensors = [{ ...weight, name: 'a', shape: [1], bytes: 4 }, weight];
    const draft = { metadata: { ...llama, 'general.alignment': u32(4096) }, tensors };
    expect((await read({ ...draft, alignment: 4096 })).tensors).toHaveLength(2);
    await expect(read({ ...draft, alignment: 32 })).rejects.toThrow('"output.weight" stands at byte 32');
  });

  it('says how many bytes a file lacks that was cut short', async () => {
    const whole = makeGguf({ metadata: llama, tensors: [weight] });
    for (const lacking of [1, 50, 127]) {
      const cut = readGguf(sourceOf(whole.subarray(0, whole.length - lacking)));
      await expect(cut).rejects.toThrow(`it is cut short, ${lacking} of ${whole.length} bytes missing`);
    }
    expect((await readGguf(sourceOf(Buffer.concat([whole, Buffer.alloc(9)])))).surplusBytes).toBe(9);
  });

  it('says that it is cut short wherever in the head that is', async () => {
    const whole = makeTinyModel();
    for (let length = 0; length < 12_000; length += 97) {
      const message = length < 4 ? 'cut short' : /cut short, .*bytes missing/;
      await expect(readGguf(sourceOf(whole.subarray(0, length)))).rejects.toThrow(message);
    }
  });

  it.each<[string, GgufDraft, string]>([
    ['big-endian', { version: 0x0300_0000, metadata: llama }, 'big-endian'],
    ['version 1', { version: 1, metadata: llama }, 'version 1, which llama.cpp gave up'],
    ['version 4', { version: 4, metadata: llama }, 'format version 4'],
    ['an alignment of 24', { metadata: { 'general.alignment': u32(24) } }, 'alignment is not a power of 2'],
    ['a list of lists', { metadata: { a: list(9, []) } }, 'a list of type 9'],
    ['an unknown value', { metadata: { a: { type: 13, bytes: Buffer.alloc(0) } } }, 'unknown type 13'],
    ['five dimensions', { metadata: {}, tensors: [{ ...weight, shape: [1, 1, 1, 1, 1] }] }, '5 dimensions'],
    ['a long tensor name', { metadata: {}, tensors: [{ ...weight, name: 'x'.repeat(64) }] }, 'tensor name of 64'],
    ['a tensor twice', { metadata: {}, tensors: [weight, weight] }, 'twice'],
    ['an overlap', { metadata: {}, tensors: [weight, { ...weight, name: 'b', offset: 64 }] }, 'end at 128'],
    ['a gap', { metadata: {}, tensors: [weight, { ...weight, name: 'b', offset: 256 }] }, 'end at 128'],
    ['half a block', { metadata: {}, tensors: [{ ...weight, type: 2, shape: [40] }] }, 'blocks of 32'],
    ['a type taken out', { metadata: {}, tensors: [{ ...weight, type: 31 }] }, 'Q4_0_4_4 (use Q4_0)'],
    ['a huge tensor', { metadata: {}, tensors: [{ ...weight, shape: [2 ** 50, 2 ** 50] }] }, 'impossible size'],
  ])('refuses %s with words', async (_, draft, message) => {
    await expect(read(draft)).rejects.toThrow(message);
    await expect(read(draft)).rejects.toBeInstanceOf(ModelFileError);
  });

  it('reads little of a file that claims much', async () => {
    const claim = makeGguf({ metadata: { a: text('b') } });
    for (const at of [8, 16]) {
      const damaged = Buffer.from(claim);
      damaged.writeBigUInt64LE(2n ** 52n, at);
      const source = sourceOf(damaged);
      await expect(readGguf(source)).rejects.toThrow(/no model has that many/);
      expect(source.readBytes).toBeLessThan(1000);
    }
  });
});

describe('readGgufModel', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'cortex-gguf-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const split = (number: number, count: number, total: number) => ({
    'split.no': u16(number),
    'split.count': u16(count),
    'split.tensors.count': i32(total),
  });
  const place = (name: string, draft: GgufDraft) => {
    writeFileSync(join(dir, name), makeGguf(draft));
    return { name, path: join(dir, name) };
  };

  it('joins the parts of a set', async () => {
    const model = await readGgufModel([
      place('m-00001-of-00003.gguf', { metadata: { ...llama, ...split(0, 3, 2) } }),
      place('m-00002-of-00003.gguf', { metadata: split(1, 3, 2), tensors: [{ ...weight, name: 'a' }] }),
      place('m-00003-of-00003.gguf', { metadata: split(2, 3, 2), tensors: [{ ...weight, name: 'b' }] }),
    ]);
    expect(model.metadata.get('general.architecture')).toBe('llama');
    expect(model.tensors.map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it('refuses a set whose parts were mixed up, with the name of the wrong one', async () => {
    const first = place('m-00001-of-00002.gguf', { metadata: { ...llama, ...split(0, 2, 2) }, tensors: [weight] });
    const wrong: [string, GgufDraft, string][] = [
      ['other number', { metadata: split(0, 2, 2) }, 'named as part 2 of 2 and says that it is part 1 of 2'],
      ['other count', { metadata: split(1, 3, 2) }, 'says that it is part 2 of 3'],
      ['no part', { metadata: llama }, 'it was renamed'],
      ['same tensor', { metadata: split(1, 2, 2), tensors: [weight] }, 'repeats the tensor "output.weight"'],
    ];
    for (const [, draft, message] of wrong) {
      const error = await readGgufModel([first, place('m-00002-of-00002.gguf', draft)]).catch(
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({ name: 'ModelFileError', file: 'm-00002-of-00002.gguf' });
      expect(String(error)).toContain(message);
    }
    const few = place('m-00002-of-00002.gguf', { metadata: split(1, 2, 2) });
    await expect(readGgufModel([first, few])).rejects.toThrow('should have 2 tensors and has 1');
  });

  it('refuses a part that was renamed to stand alone', async () => {
    const part = place('alone.gguf', { metadata: { ...llama, ...split(1, 12, 2) } });
    await expect(readGgufModel([part])).rejects.toThrow(
      'part 2 of 12: llama.cpp finds them by names like name-00001-of-00012.gguf',
    );
  });

  it('names a file that is not there, or none', async () => {
    await expect(readGgufModel([{ name: 'x.gguf', path: join(dir, 'x.gguf') }])).rejects.toMatchObject({
      message: "it can't be read (ENOENT)",
      file: 'x.gguf',
    });
    await expect(readGgufModel([{ name: 'y.gguf', path: dir }])).rejects.toThrow('not a regular file');
  });

  it('stops when it is told to', async () => {
    const file = place('m.gguf', { metadata: llama });
    await expect(readGgufModel([file], AbortSignal.abort())).rejects.toThrow('took too long');
  });
});
