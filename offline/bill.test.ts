import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Bill, chunkBytes, fileName, parseBill, renderBill, sealBill } from './bill.ts';

const sum = (character: string) => character.repeat(64);
const digest = (character: string) => `sha256:${sum(character)}`;
const content: Omit<Bill, 'package_id'> = {
  format_version: 2,
  critical: [],
  sequence: 3,
  created_at: '2026-11-23T10:00:00.000Z',
  cortex_version: '0.1.0',
  platforms: ['linux/amd64'],
  base: null,
  chunk_bytes: chunkBytes,
  volumes: 1,
  images: [
    {
      key: 'redis',
      reference: 'redis:7',
      file: 'redis-7.tar',
      role: 'required',
      purpose: 'x',
      platform: 'linux/amd64',
      index_digest: null,
      manifest_digest: digest('a'),
      manifest_media_type: 'application/vnd.oci.image.manifest.v1+json',
      config_digest: digest('b'),
      diff_ids: [digest('c')],
      sizeBytes: 2000,
      blobs: [{ digest: digest('d'), sizeBytes: 900, file: 'redis-7.tar', offset: 1024 }],
    },
  ],
  models: [],
  files: [{ name: 'redis-7.tar', sizeBytes: 2000, sha256: sum('e'), chunks: [] }],
};
const code = (bytes: Buffer) => {
  try {
    parseBill(bytes, 'manifest.json');
    return 'fine';
  } catch (error) {
    return `${Object(error).code}`;
  }
};
const sealed = (change: Partial<Omit<Bill, 'package_id'>>) => renderBill(sealBill({ ...content, ...change }));

describe('a bill', () => {
  it('is read as it was written, and has the identity of its content', () => {
    const bill = sealBill(content);
    expect(parseBill(renderBill(bill), 'manifest.json')).toEqual(bill);
    expect(sealBill(content).package_id).toBe(bill.package_id);
    expect(sealBill({ ...content, sequence: 4 }).package_id).not.toBe(bill.package_id);
  });

  it('of the format before is read, without chunks and without an identity of its own', () => {
    const { blobs: _blobs, manifest_media_type: _type, ...image } = content.images[0] as Bill['images'][number];
    const old = {
      format_version: 1,
      cortex_version: '0.1.0',
      created_at: content.created_at,
      platform: 'linux/amd64',
      images: [image],
      files: [{ name: 'redis-7.tar', sizeBytes: 2000, sha256: sum('e') }],
    };
    const bill = parseBill(Buffer.from(JSON.stringify(old)), 'manifest.json');
    expect(bill).toMatchObject({ sequence: 0, platforms: ['linux/amd64'], files: [{ chunks: [] }] });
  });

  it('that needs something unknown is refused, and one with more fields is not', () => {
    expect(code(sealed({ critical: ['delta', 'parity'] }))).toBe('bill_invalid');
    const text = sealed({}).toString('utf8').replace('"sequence": 3', '"sequence": 3,\n "later": true');
    const told = /"package_id": "([0-9a-f]+)"/.exec(text)?.[1] ?? '';
    expect(code(Buffer.from(text))).toBe('bill_invalid');
    expect(told).toHaveLength(64);
  });

  it('that contradicts itself is refused', () => {
    const image = content.images[0] as Bill['images'][number];
    const outside = { ...image, blobs: [{ digest: digest('d'), sizeBytes: 900, file: 'redis-7.tar', offset: 1900 }] };
    expect(code(sealed({ images: [outside] }))).toBe('bill_invalid');
    const file = content.files[0] as Bill['files'][number];
    expect(code(sealed({ files: [file, file] }))).toBe('bill_invalid');
    expect(code(sealed({ files: [{ ...file, sizeBytes: 3 * chunkBytes }] }))).toBe('bill_invalid');
    expect(code(sealed({ files: [{ ...file, pieces: [{ volume: 1, name: 'x', sizeBytes: 1 }] }] }))).toBe(
      'bill_invalid',
    );
    expect(code(sealed({ files: [{ ...file, pieces: [{ volume: 9, name: 'x', sizeBytes: 2000 }] }] }))).toBe(
      'bill_invalid',
    );
  });

  it('is never more than refused, whatever the bytes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 300 }).map(Buffer.from),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (bytes) => {
          expect(code(Buffer.from(bytes))).toBe('bill_invalid');
        },
      ),
    );
    expect(code(Buffer.from(`${'['.repeat(100_000)}`))).toBe('bill_invalid');
  });

  it('is refused with any byte changed', () => {
    const bytes = renderBill(sealBill(content));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: bytes.length - 2 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const altered = Buffer.from(bytes);
        altered[at] = (altered[at] ?? 0) ^ change;
        expect(code(altered)).toBe('bill_invalid');
      }),
    );
  });
});

describe('a file name of a package', () => {
  it('leads nowhere else', () => {
    for (const name of [
      '../x',
      '/etc/passwd',
      'a/../b',
      'a//b',
      'a\\b',
      '',
      '.',
      'a/',
      'a\0b',
      '.hidden/x',
      'C:/x',
      'a:b',
    ])
      expect(fileName.safeParse(name).success).toBe(false);
    for (const name of ['redis-7.tar', 'models/tiny/model-00001-of-00002.gguf', 'evidence/sha256-00'])
      expect(fileName.safeParse(name).success).toBe(true);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        if (fileName.safeParse(name).success)
          expect(name.split('/').some((part) => part === '..' || part === '' || part === '.')).toBe(false);
      }),
    );
  });
});
