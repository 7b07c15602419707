import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { tarHeader, tarOf } from '../docker/tar.ts';
import { readTarIndex } from './tar-index.ts';

const dir = mkdtempSync(join(tmpdir(), 'cortex-tar-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function index(bytes: Buffer | null, name = 'x.tar') {
  if (bytes !== null) writeFileSync(join(dir, name), bytes);
  const file = await open(join(dir, name), 'r');
  try {
    return await readTarIndex(file, name);
  } finally {
    await file.close();
  }
}

describe('the index of a tar file', () => {
  it.each(['gnu', 'pax', 'ustar'])('finds every entry where GNU tar has put it, in %s', async (format) => {
    mkdirSync(join(dir, format, 'deep'.repeat(20)), { recursive: true });
    writeFileSync(join(dir, format, 'deep'.repeat(20), `${'n'.repeat(60)}.json`), 'hello');
    writeFileSync(join(dir, format, 'empty'), '');
    execFileSync('tar', ['--format', format, '-cf', `${format}.tar`, format], { cwd: dir });
    const places = await index(null, `${format}.tar`);
    const found = places.get(`${format}/${'deep'.repeat(20)}/${'n'.repeat(60)}.json`);
    expect(found?.sizeBytes).toBe(5);
    const file = await open(join(dir, `${format}.tar`), 'r');
    const { buffer } = await file.read(Buffer.alloc(5), 0, 5, found?.offset);
    await file.close();
    expect(buffer.toString()).toBe('hello');
  });

  it('reads what we write, also sizes over 8 GiB', async () => {
    expect([...(await index(tarOf([{ name: 'a', content: Buffer.from('x') }]))).keys()]).toEqual(['a']);
    const large = tarHeader({ name: 'large', sizeBytes: 9 * 2 ** 30 });
    await expect(index(large)).rejects.toMatchObject({
      code: 'archive_invalid',
      message: expect.stringContaining('behind the end'),
    });
  });

  it('refuses one that was cut, and one that is something else', async () => {
    const whole = tarOf([{ name: 'a', content: Buffer.alloc(3000) }]);
    for (const length of [0, 100, 512, 1000, 2000, whole.length - 1024])
      await expect(index(whole.subarray(0, length))).rejects.toMatchObject({ code: 'archive_invalid' });
  });

  it('is never more than refused, whatever the bytes', async () => {
    const whole = tarOf([
      { name: 'a', content: Buffer.alloc(700) },
      { name: 'b', content: Buffer.alloc(10) },
    ]);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: whole.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        async (at, change) => {
          const altered = Buffer.from(whole);
          altered[at] = (altered[at] ?? 0) ^ change;
          await index(altered).catch((error: unknown) => expect(Object(error).code).toBe('archive_invalid'));
        },
      ),
      { numRuns: 200 },
    );
  });
});
