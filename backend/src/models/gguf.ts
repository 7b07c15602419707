import { open } from 'node:fs/promises';
import { ggufFileTypes } from './formats/ggml-types.ts';

export interface GgufFacts {
  readonly architecture: string | null;
  readonly contextLength: number | null;
  readonly name: string | null;
  readonly quantization: string | null;
  readonly poolingType: number | null;
}

/** Metadata stands at the start of the file; the keys that we read come before the vocabulary. */
const readLimitBytes = 2 * 1024 * 1024;
const longestText = 65_536;
const mostEntries = 4096;
const deepestArray = 4;

/** A GGUF file that is not one, in words. */
export class GgufError extends Error {
  override readonly name = 'GgufError';
}

/** Reads the first metadata of a GGUF file. Never more than 2 MB, whatever the file claims. @throws GgufError */
export async function readGgufFacts(path: string): Promise<GgufFacts> {
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(readLimitBytes);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    return parseGgufFacts(buffer.subarray(0, bytesRead), bytesRead < readLimitBytes);
  } finally {
    await file.close();
  }
}

/** @param isWhole the bytes are the whole file, so running out of them means that it is cut short */
export function parseGgufFacts(bytes: Buffer, isWhole: boolean): GgufFacts {
  const reader = new Reader(bytes);
  const values = new Map<string, string | number>();
  try {
    if (reader.text(4) !== 'GGUF') throw new GgufError('it does not start with the letters GGUF');
    const version = reader.u32();
    if (version !== 2 && version !== 3) throw new GgufError(`its format version is ${version}; 2 and 3 can be read`);
    reader.u64();
    const entries = reader.u64();
    for (let index = 0; index < Math.min(entries, mostEntries); index += 1) {
      const key = reader.string();
      const value = reader.value(reader.u32());
      if (value !== null) values.set(key, value);
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    if (isWhole) throw new GgufError('it is cut short');
  }
  const text = (key: string) => {
    const value = values.get(key);
    return typeof value === 'string' ? value : null;
  };
  const whole = (key: string) => {
    const value = values.get(key);
    return typeof value === 'number' && Number.isSafeInteger(value) ? value : null;
  };
  const architecture = text('general.architecture');
  if (architecture === null) throw new GgufError('it names no architecture');
  return {
    architecture,
    contextLength: whole(`${architecture}.context_length`),
    name: text('general.name'),
    quantization: ggufFileTypes.get(whole('general.file_type') ?? -1) ?? null,
    poolingType: whole(`${architecture}.pooling_type`),
  };
}

/** Reads little-endian values; going past the end throws RangeError, as Buffer does. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#move(4));
  }

  u64(): number {
    const value = this.#bytes.readBigUInt64LE(this.#move(8));
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new GgufError('it claims an impossible size');
    return Number(value);
  }

  text(lengthBytes: number): string {
    const start = this.#move(lengthBytes);
    if (this.#at > this.#bytes.length) throw new RangeError('past the end');
    return this.#bytes.toString('utf8', start, this.#at);
  }

  string(): string {
    const length = this.u64();
    if (length > longestText * 16) throw new GgufError('it claims an impossible size');
    return this.text(length);
  }

  /** A scalar's value; arrays are passed over. */
  value(type: number, depth = 0): string | number | null {
    const scalar = scalars[type];
    if (scalar !== undefined) return scalar.read(this.#bytes, this.#move(scalar.bytes));
    if (type === 8) return this.string();
    if (type !== 9) throw new GgufError(`it has a value of the unknown type ${type}`);
    if (depth > deepestArray) throw new GgufError('its arrays are nested too deep');
    const itemType = this.u32();
    const count = this.u64();
    const item = scalars[itemType];
    if (item !== undefined) this.#skip(count * item.bytes);
    else for (let index = 0; index < count; index += 1) this.value(itemType, depth + 1);
    return null;
  }

  #skip(lengthBytes: number): void {
    this.#move(lengthBytes);
    if (this.#at > this.#bytes.length) throw new RangeError('past the end');
  }

  #move(lengthBytes: number): number {
    const start = this.#at;
    this.#at += lengthBytes;
    return start;
  }
}

const scalars: Readonly<Record<number, { bytes: number; read: (bytes: Buffer, at: number) => number }>> = {
  0: { bytes: 1, read: (b, at) => b.readUInt8(at) },
  1: { bytes: 1, read: (b, at) => b.readInt8(at) },
  2: { bytes: 2, read: (b, at) => b.readUInt16LE(at) },
  3: { bytes: 2, read: (b, at) => b.readInt16LE(at) },
  4: { bytes: 4, read: (b, at) => b.readUInt32LE(at) },
  5: { bytes: 4, read: (b, at) => b.readInt32LE(at) },
  6: { bytes: 4, read: (b, at) => b.readFloatLE(at) },
  7: { bytes: 1, read: (b, at) => b.readUInt8(at) },
  10: { bytes: 8, read: (b, at) => Number(b.readBigUInt64LE(at)) },
  11: { bytes: 8, read: (b, at) => Number(b.readBigInt64LE(at)) },
  12: { bytes: 8, read: (b, at) => b.readDoubleLE(at) },
};
