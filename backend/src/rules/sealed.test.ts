import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Seal } from './sealed.ts';

const seal = new Seal(randomBytes(32));
const about = 'http://10.0.0.5:8000';

it('what is sealed is read again, whatever text it is', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(seal.open(seal.close(text, about), about)).toBe(Buffer.from(text).toString());
    }),
  );
});

it('what is sealed twice looks different, and does not show the text', () => {
  const [one, other] = [seal.close('secret-key', about), seal.close('secret-key', about)];
  expect(one).not.toBe(other);
  expect(Buffer.from(one, 'base64').includes('secret')).toBe(false);
});

describe('a sealed text does not open', () => {
  const sealed = seal.close('secret-key', about);

  it('with another secret', () => {
    expect(new Seal(randomBytes(32)).open(sealed, about)).toBeNull();
  });

  it('for something else', () => {
    expect(seal.open(sealed, 'http://evil.test')).toBeNull();
    expect(seal.open(sealed, '')).toBeNull();
  });

  it('with any bit changed', () => {
    const bytes = Buffer.from(sealed, 'base64');
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(seal.open(changed.toString('base64'), about)).toBeNull();
    }
  });

  it('cut short, or where it was never sealed', () => {
    const bytes = Buffer.from(sealed, 'base64');
    for (let length = 0; length < bytes.length; length += 1)
      expect(seal.open(bytes.subarray(0, length).toString('base64'), about)).toBeNull();
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(seal.open(text, about)).toBeNull();
      }),
    );
  });
});
