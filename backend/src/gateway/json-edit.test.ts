import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nestingOf, setMember } from './json-edit.ts';

const depthOf = (value: unknown): number => {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
};
const record = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }));

describe('a member that is set', () => {
  it('is in the object, and all others are as they were', () => {
    fc.assert(
      fc.property(record, fc.string(), fc.jsonValue({ maxDepth: 2 }), fc.nat(3), (object, name, value, indent) => {
        fc.pre(name !== '__proto__' && !Object.hasOwn(object, '__proto__'));
        const json = Buffer.from(JSON.stringify(object, null, indent));
        const edited: unknown = JSON.parse(setMember(json, name, value, Object.hasOwn(object, name)).toString());
        expect(edited).toEqual(JSON.parse(JSON.stringify({ ...object, [name]: value })));
      }),
    );
  });

  it('makes an empty object valid, however much space it holds', () => {
    expect(JSON.parse(setMember(Buffer.from(`{${' '.repeat(200)}}`), 'a', 1, false).toString())).toEqual({ a: 1 });
  });

  it('leaves numbers as the client wrote them', () => {
    const json = Buffer.from('{"seed":12345678901234567890, "max_tokens" : 5 }');
    expect(setMember(json, 'max_tokens', 3, true).toString()).toBe('{"seed":12345678901234567890, "max_tokens" :3}');
  });
});

describe('nesting', () => {
  it('is counted as deep as it is, whatever strings hold', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(nestingOf(JSON.stringify(value), 1000)).toBe(depthOf(value));
      }),
    );
  });
});
