import { describe, expect, it } from 'vitest';
import { sourceOf } from '../../../../tests/fixtures/byte-source.ts';
import { makeSafetensors, makeSafetensorsOf } from '../../../../tests/fixtures/safetensors-file.ts';
import { ModelFileError } from './byte-source.ts';
import { readSafetensors } from './safetensors.ts';

const two = [
  { name: 'a', dtype: 'BF16', shape: [4, 8], bytes: 64 },
  { name: 'b', dtype: 'F32', shape: [], bytes: 4 },
];
const read = (bytes: Buffer) => readSafetensors(sourceOf(bytes));
const readHeader = (header: unknown, dataBytes = 0) =>
  read(makeSafetensorsOf(typeof header === 'string' ? header : JSON.stringify(header), dataBytes));
const tensor = (data_offsets: number[], shape: unknown = [4], dtype = 'U8') => ({ dtype, shape, data_offsets });

describe('readSafetensors', () => {
  it('reads names, dtypes, shapes and sizes', async () => {
    expect(await read(makeSafetensors(two))).toEqual(two);
    expect(await readHeader({})).toEqual([]);
    const packed = { dtype: 'F4', shape: [3, 2], data_offsets: [0, 3] };
    expect(await readHeader({ x: packed }, 3)).toEqual([{ name: 'x', dtype: 'F4', shape: [3, 2], bytes: 3 }]);
  });

  it('reads names as JSON writes them', async () => {
    const names = ['', 'ü "x"\n', '__proto__', '\\', '🙂'];
    const header = `{${names.map((name) => `${JSON.stringify(name)}:{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`).join(' ,\n')}}`;
    expect((await readHeader(header)).map(({ name }) => name)).toEqual(names);
    expect((await readHeader('{"\\u0041":{"shape":[ 0 ],"data_offsets":[0 , 0],"dtype":"U8"}}'))[0]?.name).toBe('A');
  });

  it('says how many bytes a shard lacks, or has too many', async () => {
    const whole = makeSafetensors(two);
    await expect(read(whole.subarray(0, -10))).rejects.toThrow('cut short, 10 of 68 bytes of its data missing');
    await expect(read(whole.subarray(0, 50))).rejects.toThrow(/cut short, at least [\d,]+ bytes missing/);
    await expect(read(whole.subarray(0, 5))).rejects.toThrow('has no header');
    await expect(read(Buffer.concat([whole, Buffer.alloc(7)]))).rejects.toThrow(
      '7 bytes more than its header describes',
    );
  });

  it.each<[string, unknown, string]>([
    ['an overlap', { a: tensor([0, 4]), b: tensor([2, 6]) }, '"b" begins at byte 2 of the data, where 4 was expected'],
    ['a gap', { a: tensor([0, 4]), b: tensor([5, 9]) }, '"b" begins at byte 5'],
    ['a gap before the first', { a: tensor([4, 8]) }, '"a" begins at byte 4'],
    ['a shape that does not fit', { a: tensor([0, 4], [5]) }, '4 bytes long; its shape and dtype make 5'],
    ['half a byte', { a: tensor([0, 2], [3], 'F4') }, 'make 1.5'],
    ['an end before its begin', { a: tensor([0, 4]), b: tensor([4, 2], [0]) }, '-2 bytes long'],
    ['an unknown dtype', { a: tensor([0, 4], [4], 'F3') }, 'unknown dtype "F3"'],
    ['a huge shape', { a: tensor([0, 4], Array(30).fill(2 ** 52)) }, 'make'],
    ['a negative size', { a: tensor([0, 4], [-4]) }, 'a whole number was expected'],
    ['a fraction', { a: tensor([0, 4], [0.5]) }, "']' was expected"],
    ['a number beyond 2^53', '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,9999999999999999]}}', 'whole number'],
    ['a leading zero', '{"a":{"dtype":"U8","shape":[04],"data_offsets":[0,4]}}', 'whole number'],
    ['a missing field', { a: { dtype: 'U8', shape: [4] } }, 'lacks its dtype, shape or data_offsets'],
    ['a foreign field', { a: { ...tensor([0, 4]), more: 'x' } }, '"more", unknown or twice'],
    ['a field twice', '{"a":{"dtype":"U8","dtype":"U8"}}', '"dtype", unknown or twice'],
    ['a tensor twice', '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{}}', 'has "a" twice'],
    ['three offsets', { a: tensor([0, 4, 8]) }, 'a list is too long'],
    ['more behind the object', '{} {}', 'nothing more was expected'],
    ['another value', '[]', "'{' was expected"],
    ['a text without end', '{"a', 'a text does not end'],
    ['a text that is none', '{"\\q":{}}', 'a text is not JSON'],
    ['a comma too many', '{"__metadata__":{"a":"b",}}', `'"' was expected`],
    ['a note that is none', { __metadata__: { a: 1 } }, `'"' was expected`],
  ])('refuses %s with words', async (_, header, message) => {
    await expect(readHeader(header, 4)).rejects.toThrow(message);
    await expect(readHeader(header, 4)).rejects.toBeInstanceOf(ModelFileError);
  });

  it('reads nothing of a header longer than the format allows, or than the file', async () => {
    for (const [claim, message] of [
      [100_000_001n, 'the format allows 100000000'],
      [2n ** 64n - 1n, 'the format allows'],
      [99_999_999n, 'cut short'],
    ] as const) {
      const bytes = Buffer.alloc(4096);
      bytes.writeBigUInt64LE(claim);
      const source = sourceOf(bytes);
      await expect(readSafetensors(source)).rejects.toThrow(message);
      expect(source.readBytes).toBe(8);
    }
  });
});
