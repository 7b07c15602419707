import type { ByteCursor } from './byte-cursor.ts';
import { ModelFileError } from './byte-source.ts';

export type GgufScalar = string | number | boolean;
export type GgufValue = GgufScalar | readonly GgufScalar[];

export interface GgufMetadata {
  /** Whole numbers above 2^53 are rounded. */
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** What was too long to be held, as vocabularies are: the number of items, or of bytes of a text. */
  readonly passedOver: ReadonlyMap<string, number>;
}

const mostEntries = 65_536;
/** The specification's bound of a key. */
const longestKey = 65_535;
const longestText = 64 * 1024;
const mostItems = 1024;
const longestItem = 1024;
const mostHeldBytes = 8 * 1024 * 1024;

interface ScalarType {
  readonly bytes: number;
  readonly read: (bytes: Buffer) => number | boolean;
}

const stringType = 8;
const arrayType = 9;

const scalarTypes: ReadonlyMap<number, ScalarType> = new Map<number, ScalarType>([
  [0, { bytes: 1, read: (b) => b.readUInt8() }],
  [1, { bytes: 1, read: (b) => b.readInt8() }],
  [2, { bytes: 2, read: (b) => b.readUInt16LE() }],
  [3, { bytes: 2, read: (b) => b.readInt16LE() }],
  [4, { bytes: 4, read: (b) => b.readUInt32LE() }],
  [5, { bytes: 4, read: (b) => b.readInt32LE() }],
  [6, { bytes: 4, read: (b) => b.readFloatLE() }],
  [7, { bytes: 1, read: (b) => b.readUInt8() !== 0 }],
  [10, { bytes: 8, read: (b) => Number(b.readBigUInt64LE()) }],
  [11, { bytes: 8, read: (b) => Number(b.readBigInt64LE()) }],
  [12, { bytes: 8, read: (b) => b.readDoubleLE() }],
]);

/** Reads all entries; long texts and arrays are passed over, item by item where they have no fixed size. @throws ModelFileError */
export async function readMetadata(cursor: ByteCursor, entries: number): Promise<GgufMetadata> {
  if (entries > mostEntries)
    throw new ModelFileError(`it claims ${entries.toLocaleString('en')} metadata entries; no model has that many`);
  const metadata = new Map<string, GgufValue>();
  const passedOver = new Map<string, number>();
  let heldBytes = 0;
  for (let index = 0; index < entries; index += 1) {
    const key = await readShortText(cursor, longestKey, 'a metadata key');
    if (metadata.has(key) || passedOver.has(key))
      throw new ModelFileError(`it has the metadata key ${named(key)} twice`);
    const start = cursor.position;
    const value = await readValue(cursor, key);
    if (value.held === null) passedOver.set(key, value.length);
    else metadata.set(key, value.held);
    heldBytes += key.length + (value.held === null ? 0 : cursor.position - start);
    if (heldBytes > mostHeldBytes) throw new ModelFileError('it has more metadata than any model needs');
  }
  return { metadata, passedOver };
}

/** A text that has to be held, or else the file is none of a model. */
export async function readShortText(cursor: ByteCursor, longest: number, what: string): Promise<string> {
  if (!cursor.holds(8)) await cursor.fetch(8);
  const length = cursor.u64();
  if (length > longest) throw new ModelFileError(`it has ${what} of ${length.toLocaleString('en')} bytes`);
  if (!cursor.holds(length)) await cursor.fetch(length);
  return cursor.text(length);
}

/** A name from a file, safe to print. */
export const named = (name: string): string => JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}…` : name);

interface ReadValue {
  readonly held: GgufValue | null;
  readonly length: number;
}

async function readValue(cursor: ByteCursor, key: string): Promise<ReadValue> {
  if (!cursor.holds(4)) await cursor.fetch(4);
  const type = cursor.u32();
  const scalar = scalarTypes.get(type);
  if (scalar !== undefined) {
    if (!cursor.holds(scalar.bytes)) await cursor.fetch(scalar.bytes);
    return { held: scalar.read(cursor.bytes(scalar.bytes)), length: scalar.bytes };
  }
  if (type === stringType) return readText(cursor, longestText);
  if (type === arrayType) return readArray(cursor, key);
  throw new ModelFileError(`its metadata key ${named(key)} has the unknown type ${type}`);
}

async function readText(cursor: ByteCursor, longest: number): Promise<{ held: string | null; length: number }> {
  if (!cursor.holds(8)) await cursor.fetch(8);
  const length = cursor.u64();
  if (length > longest) {
    cursor.skip(length);
    return { held: null, length };
  }
  if (!cursor.holds(length)) await cursor.fetch(length);
  return { held: cursor.text(length), length };
}

async function readArray(cursor: ByteCursor, key: string): Promise<ReadValue> {
  if (!cursor.holds(12)) await cursor.fetch(12);
  const itemType = cursor.u32();
  const length = cursor.u64();
  const scalar = scalarTypes.get(itemType);
  if (scalar !== undefined) {
    if (length > mostItems) {
      cursor.skip(length * scalar.bytes);
      return { held: null, length };
    }
    if (!cursor.holds(length * scalar.bytes)) await cursor.fetch(length * scalar.bytes);
    return { held: Array.from({ length }, () => scalar.read(cursor.bytes(scalar.bytes))), length };
  }
  if (itemType !== stringType)
    throw new ModelFileError(
      `its metadata key ${named(key)} is a list of type ${itemType}, which llama.cpp does not read`,
    );
  if (length > mostItems) {
    await skipTexts(cursor, length);
    return { held: null, length };
  }
  const items: string[] = [];
  let isWhole = true;
  for (let index = 0; index < length; index += 1) {
    const { held } = await readText(cursor, longestItem);
    if (held === null) isWhole = false;
    else items.push(held);
  }
  return { held: isWhole ? items : null, length };
}

async function skipTexts(cursor: ByteCursor, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    if (!cursor.holds(8)) await cursor.fetch(8);
    cursor.skip(cursor.u64());
  }
}
