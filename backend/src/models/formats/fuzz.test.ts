import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sourceOf } from '../../../../tests/fixtures/byte-source.ts';
import { i32, list, makeGguf, text, u32 } from '../../../../tests/fixtures/gguf-file.ts';
import { mutations } from '../../../../tests/fixtures/mutations.ts';
import { makeSafetensors } from '../../../../tests/fixtures/safetensors-file.ts';
import { makeTinyModel } from '../../../../tests/fixtures/tiny-model.ts';
import { configFacts } from '../hf-config.ts';
import { licenseOfCard } from '../provenance.ts';
import { type ByteSource, ModelFileError } from './byte-source.ts';
import { readGguf } from './gguf.ts';
import { parseObject } from './json-file.ts';
import { readSafetensors } from './safetensors.ts';

/** More than any of these takes; a machine under load may be slow. */
/** Far from what it takes, and far from what a text takes that is read again for each of its characters. */
const longestMs = 12_000;

interface Tally {
  readonly read: number;
  readonly refused: number;
}

/** Reads each damaged file: it is read or refused by name, and little more is asked of it than it has. */
async function readAll(files: Iterable<Buffer>, read: (source: ByteSource) => Promise<unknown>): Promise<Tally> {
  const tally = { read: 0, refused: 0 };
  for (const bytes of files) {
    const source = sourceOf(bytes);
    const start = performance.now();
    try {
      await read(source);
      tally.read += 1;
    } catch (error) {
      if (!(error instanceof ModelFileError)) throw error;
      tally.refused += 1;
    }
    expect(performance.now() - start).toBeLessThan(longestMs);
    expect(source.readBytes).toBeLessThan(4 * bytes.length + 1024);
  }
  return tally;
}

const smallGguf = makeGguf({
  metadata: {
    'general.architecture': text('llama'),
    'llama.context_length': u32(4096),
    'tokenizer.ggml.tokens': list(
      8,
      Array.from({ length: 40 }, (_, index) => text(`word ${index}`)),
    ),
    'tokenizer.ggml.token_type': list(
      5,
      Array.from({ length: 40 }, () => i32(1)),
    ),
  },
  tensors: Array.from({ length: 12 }, (_, index) => ({
    name: `blk.${index}.weight`,
    type: 2,
    shape: [64, 3],
    bytes: 108,
  })),
});

describe('a GGUF file with any damage', () => {
  it.each([
    ['small', smallGguf, 6000, 1],
    ['the tiny model', makeTinyModel().subarray(0, 14_000), 3000, 2],
  ])('is read, or refused by name, in bounded time: %s', async (_, whole, count, seed) => {
    const { read, refused } = await readAll(mutations(whole, count, seed), readGguf);
    expect(read + refused).toBe(count);
    expect(refused).toBeGreaterThan(count / 10);
  });

  it('costs no more than the bounds, however much it claims', async () => {
    // An endless vocabulary of empty words: a petabyte of zeros behind the head.
    const head = makeGguf({ metadata: { 'tokenizer.ggml.tokens': list(8, []) } });
    head.writeBigUInt64LE(2n ** 46n, head.length - 8);
    let asked = 0;
    const source: ByteSource = {
      sizeBytes: 2 ** 50,
      read: async (into, at) => {
        asked += into.length;
        into.fill(0);
        head.copy(into, 0, Math.min(at, head.length));
        return into.length;
      },
    };
    await expect(readGguf(source)).rejects.toThrow('head is longer than 256 MiB');
    expect(asked).toBeLessThan(300 * 1024 ** 2);
  });
});

describe('a safetensors file with any damage', () => {
  const whole = makeSafetensors(
    Array.from({ length: 12 }, (_, index) => ({ name: `layer.${index}`, dtype: 'BF16', shape: [4, 3], bytes: 24 })),
  );

  it('is read, or refused by name, in bounded time', async () => {
    const { read, refused } = await readAll(mutations(whole, 6000, 3), readSafetensors);
    expect(read + refused).toBe(6000);
    expect(refused).toBeGreaterThan(600);
  });

  it('is refused soon where its header is as long as the format allows, and one value nested without end', async () => {
    const header = Buffer.alloc(100_000_000, '[');
    header.write('{"a":');
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    const start = performance.now();
    await expect(readSafetensors(sourceOf(Buffer.concat([length, header])))).rejects.toThrow("'{' was expected");
    expect(performance.now() - start).toBeLessThan(longestMs);
  });
});

describe('a configuration with any damage', () => {
  const usual = {
    architectures: ['LlamaForCausalLM'],
    max_position_embeddings: 8192,
    text_config: { max_position_embeddings: 4096, rope_scaling: { rope_type: 'yarn', factor: 4 } },
    rope_scaling: { type: 'linear', factor: 2.5 },
    quantization_config: { quant_method: 'awq', bits: 4 },
    auto_map: { AutoConfig: 'configuration.Config' },
    limit: [0, 'NaN', '\\"'],
  };
  const facts = (json: string) => configFacts(parseObject(json));

  it('is read, or refused by name', () => {
    let refused = 0;
    for (const bytes of mutations(Buffer.from(JSON.stringify(usual, null, 2)), 5000, 4)) {
      try {
        const { contextLength, architectures } = facts(bytes.toString('utf8'));
        expect(contextLength === null || Number.isSafeInteger(contextLength)).toBe(true);
        expect(architectures.every((name) => typeof name === 'string')).toBe(true);
      } catch (error) {
        if (!(error instanceof ModelFileError)) throw error;
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(500);
  });

  it('may hold any value in any place', () => {
    const config = fc.record(
      Object.fromEntries(Object.keys(usual).map((key) => [key, fc.jsonValue({ maxDepth: 4 })])),
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(config, (value) => {
        facts(JSON.stringify(value));
      }),
      { numRuns: 2000, seed: 5 },
    );
  });

  it('may be nested as deep as its length allows', () => {
    const deep = 100_000;
    expect(facts(`${'{"text_config":'.repeat(deep)}{}${'}'.repeat(deep)}`).contextLength).toBeNull();
    expect(() => facts(`${'{"a":'.repeat(deep)}NaN`)).toThrow(ModelFileError);
  });

  it('is read soon where it is one long text, or one long number', () => {
    const start = performance.now();
    expect(() => parseObject(`{"a": "${'\\'.repeat(8_000_000)}`)).toThrow(ModelFileError);
    expect(() => parseObject(`{"a": ${'"'.repeat(4_000_000)} NaN`)).toThrow(ModelFileError);
    expect(facts(`{"max_position_embeddings": ${'9'.repeat(1_000_000)}}`).contextLength).toBeNull();
    expect(performance.now() - start).toBeLessThan(longestMs);
  });
});

it('a model card of any text names a licence of bounded length, or none', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 400 }), fc.string({ maxLength: 300 }), (text, license) => {
      expect(licenseOfCard(`---\n${text}\nlicense: ${license}\n---\n`)?.length ?? 0).toBeLessThanOrEqual(128);
    }),
    { numRuns: 2000, seed: 6 },
  );
  const start = performance.now();
  licenseOfCard(`---\n${'license: '.repeat(7000)}`);
  licenseOfCard(`---\nlicense: ${' '.repeat(60_000)}x\n---`);
  expect(performance.now() - start).toBeLessThan(longestMs);
});
