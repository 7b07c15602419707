import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { outlineOf, setMember } from './json-edit.ts';

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

describe('an outline', () => {
  it('is as deep as the text and has as many members, whatever strings hold', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(3), (value, indent) => {
        const members = typeof value === 'object' && value !== null ? Object.keys(value).length : 0;
        const { depth, members: counted } = outlineOf(JSON.stringify(value, null, indent), 1000);
        expect(depth).toBe(depthOf(value));
        if (depth > 0) expect(counted).toBe(members);
      }),
    );
  });

  it('counts a name for each time that it stands there', () => {
    expect(outlineOf('{"a":1,"b":{"a":1,"a":2},"\\u0061":[1,2]}', 9).members).toBe(3);
  });
});
