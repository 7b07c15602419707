import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { answerWriter } from './answers.ts';

const thing = z.object({ name: z.string(), size: z.number() });
const write = answerWriter(z.object({ things: z.array(thing) }));
const read = (text: unknown): unknown => JSON.parse(String(text));

describe('an answer', () => {
  it.each([true, false])('that is a list says what the schema says and nothing else (frozen: %s)', (frozen) => {
    const things = [
      { name: 'a', size: 1, secret: 'x' },
      { name: 'b "quoted"', size: 2 },
    ].map((one) => (frozen ? Object.freeze(one) : one));
    const expected = {
      things: [
        { name: 'a', size: 1 },
        { name: 'b "quoted"', size: 2 },
      ],
    };
    expect(read(write({ things }))).toEqual(expected);
    expect(read(write({ things }))).toEqual(expected);
    expect(read(write({ things: [] }))).toEqual({ things: [] });
  });

  it('is refused where an element is not what the schema says, each time', () => {
    const wrong = Object.freeze({ name: 'a', size: 'large' });
    expect(() => write({ things: [wrong] })).toThrow();
    expect(() => write({ things: [wrong] })).toThrow();
    expect(() => write({ things: undefined })).toThrow();
    expect(() => write(null)).toThrow();
  });

  it('tells an element that changed since the last answer', () => {
    const changing = { name: 'a', size: 1 };
    write({ things: [changing] });
    changing.size = 2;
    expect(read(write({ things: [changing] }))).toEqual({ things: [{ name: 'a', size: 2 }] });
  });

  it('has a frozen element looked at only once', () => {
    let looks = 0;
    const counted = z.object({ name: z.string().refine(() => ++looks > 0) });
    const writeCounted = answerWriter(z.object({ things: z.array(counted) }));
    const one = Object.freeze({ name: 'a' });
    expect(writeCounted({ things: [one] })).toEqual(writeCounted({ things: [one] }));
    expect(looks).toBe(1);
  });

  it('that holds more than a list is checked as a whole', () => {
    const writeBoth = answerWriter(z.object({ things: z.array(thing), count: z.number() }));
    expect(read(writeBoth({ things: [{ name: 'a', size: 1 }], count: 1, more: 1 }))).toEqual({
      things: [{ name: 'a', size: 1 }],
      count: 1,
    });
  });
});
