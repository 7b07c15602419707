import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeTinyModel } from '../../../tests/fixtures/tiny-model.ts';
import { GgufError, parseGgufFacts } from './gguf.ts';

const whole = makeTinyModel();

describe('parseGgufFacts', () => {
  it('reads architecture, name, context and number type', () => {
    expect(parseGgufFacts(whole, true)).toEqual({
      architecture: 'llama',
      contextLength: 4096,
      name: 'Cortex tiny test model',
      quantization: 'F32',
      poolingType: null,
    });
  });

  it('refuses a file without the magic letters', () => {
    expect(() => parseGgufFacts(Buffer.from('this is not a model'), true)).toThrow(GgufError);
  });

  it('gives facts or GgufError, and nothing else, for any damage', () => {
    const head = whole.subarray(0, 4096);
    fc.assert(
      fc.property(
        fc.nat(head.length),
        fc.array(fc.tuple(fc.nat(head.length - 1), fc.nat(255)), { maxLength: 20 }),
        (lengthBytes, edits) => {
          const damaged = Buffer.from(head);
          for (const [at, byte] of edits) damaged[at] = byte;
          try {
            parseGgufFacts(damaged.subarray(0, lengthBytes), true);
          } catch (error) {
            expect(error).toBeInstanceOf(GgufError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
