import type { ByteCursor } from './byte-cursor.ts';
import { ModelFileError } from './byte-source.ts';
import { ggmlTypes, removedGgmlTypes } from './ggml-types.ts';
import { named, readShortText } from './gguf-metadata.ts';

export interface GgufTensor {
  readonly name: string;
  /** ggml's name of the number type; `type 99` of one that is not known here. */
  readonly type: string;
  /** The fastest-moving dimension first, as ggml has it. */
  readonly shape: readonly number[];
  readonly bytes: number;
}

const mostTensors = 262_144;
/** GGML_MAX_NAME and GGML_MAX_DIMS of ggml.h: a longer name or a fifth dimension does not load. */
const longestName = 63;
const mostDimensions = 4;

interface TensorInfo {
  readonly name: string;
  readonly type: number;
  readonly shape: readonly number[];
  readonly offset: number;
}

/**
 * Reads the tensors' descriptions and checks their extents as llama.cpp does: one after the other, each at the alignment,
 * the last one inside the file. @throws ModelFileError
 */
export async function readTensors(
  cursor: ByteCursor,
  count: number,
  alignment: number,
  fileBytes: number,
): Promise<{ tensors: GgufTensor[]; surplusBytes: number }> {
  const infos = await readInfos(cursor, count);
  const dataAt = padded(cursor.position, alignment);
  if (infos.length === 0) return { tensors: [], surplusBytes: Math.max(0, fileBytes - dataAt) };
  const tensors: GgufTensor[] = [];
  let expected = 0;
  let end = 0;
  for (const [index, info] of infos.entries()) {
    if (info.offset !== expected)
      throw new ModelFileError(
        `its tensor ${named(info.name)} stands at byte ${info.offset} of the data; the ones before it end at ${expected}`,
      );
    // A type that is newer than this table has the size that the next tensor's place leaves to it.
    const bytes = bytesOf(info) ?? (infos[index + 1]?.offset ?? Math.max(fileBytes - dataAt, expected)) - info.offset;
    end = expected + bytes;
    expected = padded(end, alignment);
    if (bytes < 0 || !Number.isSafeInteger(expected))
      throw new ModelFileError(`its tensor ${named(info.name)} has an impossible size`);
    const type = ggmlTypes.get(info.type)?.name ?? `type ${info.type}`;
    tensors.push({ name: info.name, type, shape: info.shape, bytes });
  }
  const missing = dataAt + end - fileBytes;
  if (missing > 0)
    throw new ModelFileError(
      `it is cut short, ${missing.toLocaleString('en')} of ${(dataAt + end).toLocaleString('en')} bytes missing`,
    );
  return { tensors, surplusBytes: Math.max(0, fileBytes - (dataAt + expected)) };
}

async function readInfos(cursor: ByteCursor, count: number): Promise<TensorInfo[]> {
  if (count > mostTensors)
    throw new ModelFileError(`it claims ${count.toLocaleString('en')} tensors; no model has that many`);
  const infos: TensorInfo[] = [];
  const names = new Set<string>();
  for (let index = 0; index < count; index += 1) {
    const name = await readShortText(cursor, longestName, 'a tensor name');
    if (names.has(name)) throw new ModelFileError(`it has the tensor ${named(name)} twice`);
    names.add(name);
    if (!cursor.holds(4)) await cursor.fetch(4);
    const dimensions = cursor.u32();
    if (dimensions > mostDimensions)
      throw new ModelFileError(
        `its tensor ${named(name)} has ${dimensions} dimensions; llama.cpp reads ${mostDimensions}`,
      );
    const rest = dimensions * 8 + 12;
    if (!cursor.holds(rest)) await cursor.fetch(rest);
    const shape = Array.from({ length: dimensions }, () => cursor.u64());
    infos.push({ name, shape, type: cursor.u32(), offset: cursor.u64() });
  }
  return infos;
}

/** A tensor's size by its shape; null where its type is not known here. */
function bytesOf({ name, type, shape }: TensorInfo): number | null {
  const removed = removedGgmlTypes.get(type);
  if (removed !== undefined)
    throw new ModelFileError(
      `its tensor ${named(name)} has the type ${removed}, which llama.cpp has taken out: download a newer file`,
    );
  const known = ggmlTypes.get(type);
  if (known === undefined) return null;
  const [row = 1, ...rows] = shape;
  if (row % known.blockItems !== 0)
    throw new ModelFileError(
      `its tensor ${named(name)} has rows of ${row} items, which ${known.name} can't hold in blocks of ${known.blockItems}`,
    );
  return rows.reduce((product, size) => product * size, (row / known.blockItems) * known.blockBytes);
}

const padded = (bytes: number, alignment: number): number => Math.ceil(bytes / alignment) * alignment;
