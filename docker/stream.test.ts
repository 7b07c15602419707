import fc from 'fast-check';
import { expect, it } from 'vitest';
import { readLogLines } from './stream.ts';

const frame = (text: string): Buffer => {
  const content = Buffer.from(text);
  const header = Buffer.alloc(8);
  header.writeUInt32BE(content.length, 4);
  return Buffer.concat([header, content]);
};

async function* inChunks(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let at = 0;
  for (const size of sizes) {
    yield bytes.subarray(at, at + size);
    at += size;
  }
  yield bytes.subarray(at);
}

async function linesOf(body: AsyncIterable<Uint8Array>): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of readLogLines(body)) lines.push(line);
  return lines;
}

it('reads the lines of a log, wherever its frames and the chunks of the answer end', async () => {
  const lines = fc.array(fc.string({ unit: 'grapheme' }).filter((line) => !/\n/.test(line)));
  const cuts = fc.array(fc.nat({ max: 40 }));
  await fc.assert(
    fc.asyncProperty(lines, cuts, async (written, sizes) => {
      const log = Buffer.concat(written.map((line) => frame(`${line}\n`)));
      expect(await linesOf(inChunks(log, sizes))).toEqual(written);
    }),
  );
});

it('gives a line that comes in several frames as one', async () => {
  const log = Buffer.concat([frame('load'), frame('ing\nre'), frame('ady\nnow')]);
  expect(await linesOf(inChunks(log, []))).toEqual(['loading', 'ready', 'now']);
});
