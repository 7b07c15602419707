import fc from 'fast-check';
import { expect, it } from 'vitest';
import { findValue } from './json-value.ts';

const find = (json: string, name: string) => {
  const bytes = Buffer.from(json);
  const place = findValue(bytes, name);
  return place === null ? null : bytes.toString('utf8', place.start, place.end).trim();
};

it('finds the value of a member, not of one that is deeper, nor of a string that looks like one', () => {
  const json = '{ "a": "\\"x\\": 1, \\\\", "b": {"x": 2}, "c": [{"x": 3}], "x" : {"y": [1, "}"]} , "d": 1 }';
  expect(find(json, 'x')).toBe('{"y": [1, "}"]}');
  expect(find(json, 'y')).toBeNull();
});

it('takes the last of several and reads escapes in names, as JSON.parse does', () => {
  expect(find('{"x":1,"x":2}', 'x')).toBe('2');
  expect(find('{"\\u0078":1}', 'x')).toBe('1');
  expect(find('{}', 'x')).toBeNull();
});

it('finds in any object what JSON.parse finds', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), fc.constantFrom(0, 2), (object, indent) => {
      const json = JSON.stringify(object, null, indent);
      for (const [name, value] of Object.entries(object)) {
        expect(JSON.parse(find(json, name) ?? '"not found"')).toEqual(JSON.parse(JSON.stringify(value)));
      }
    }),
  );
});
