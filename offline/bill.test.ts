import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CortexError } from '../contract/errors.ts';
import { type Bill, parseBill } from './bill.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const image = {
  key: 'redis',
  reference: 'redis:7',
  file: 'redis-7.tar',
  role: 'required',
  purpose: 'x',
  platform: 'linux/amd64',
  index_digest: null,
  manifest_digest: digest,
  config_digest: digest,
  diff_ids: [digest],
  sizeBytes: 1,
} as const;
const whole: Bill = {
  format_version: 1,
  cortex_version: '0.1.0',
  created_at: '2026-11-23T00:00:00.000Z',
  platform: 'linux/amd64',
  images: [{ ...image, diff_ids: [digest] }],
  files: [{ name: 'redis-7.tar', sizeBytes: 1, sha256: 'b'.repeat(64) }],
};
const parse = (value: unknown) => parseBill(JSON.stringify(value), 'manifest.json');

describe('the bill of a package', () => {
  it('is read as it was written', () => {
    expect(parse(whole)).toEqual(whole);
  });
  it.each(['../etc/passwd', '/etc/passwd', 'a/b.tar', '.hidden', 'x\0y', ''])(
    'may not name a file outside its folder: %j',
    (name) => {
      expect(() => parse({ ...whole, files: [{ name, sizeBytes: 1, sha256: 'b'.repeat(64) }] })).toThrow(CortexError);
      expect(() => parse({ ...whole, images: [{ ...image, file: name }] })).toThrow(CortexError);
    },
  );
  it('of another format version is refused', () => {
    expect(() => parse({ ...whole, format_version: 2 })).toThrow(/format_version/);
  });
  it('is refused in words, whatever the file holds', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(() => parseBill(text, 'manifest.json')).toThrow(CortexError);
      }),
    );
  });
});
