import { setImmediate } from 'node:timers/promises';
import { type ByteSource, ModelFileError, type NamedFile, readWhole, withFile } from './byte-source.ts';
import { headerEntries, type SafetensorsEntry } from './safetensors-header.ts';

export interface SafetensorsTensor {
  readonly name: string;
  /** As the header says it: `BF16`. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: number;
}

/** A whole model: what its config.json says and the tensors of every shard. */
export interface SafetensorsModel {
  /** config.json as it was parsed, unchecked. */
  readonly config: unknown;
  readonly tensors: readonly SafetensorsTensor[];
}

/** MAX_HEADER_SIZE of the format's own library (safetensors/src/tensor.rs). */
const longestHeaderBytes = 100_000_000;
const mostTensors = 262_144;
/** So many entries of a header are read before others have their turn. */
const entriesInOneTurn = 2000;

/** Dtype::bitsize of safetensors/src/tensor.rs, up to 0.8. */
const bitsOfDtype: Readonly<Record<string, number>> = {
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
};

/** Reads the header of one shard and checks that its tensors fill the rest of the file. @throws ModelFileError */
export async function readSafetensorsFile(file: NamedFile, signal?: AbortSignal): Promise<SafetensorsTensor[]> {
  return withFile(file, signal, readSafetensors);
}

/**
 * Reads the shards of one model.
 * @param index of each tensor the shard that model.safetensors.index.json names; null without such a file
 * @throws ModelFileError with the shard's name
 */
export async function readShards(
  shards: readonly NamedFile[],
  index: ReadonlyMap<string, string> | null,
  signal?: AbortSignal,
): Promise<SafetensorsTensor[]> {
  const tensors: SafetensorsTensor[] = [];
  const shardOf = new Map<string, string>();
  for (const file of shards) {
    const shard = file.name;
    for (const tensor of await readSafetensorsFile(file, signal)) {
      const other = shardOf.get(tensor.name);
      if (other !== undefined) throw new ModelFileError(`it repeats ${JSON.stringify(tensor.name)} of ${other}`, shard);
      shardOf.set(tensor.name, shard);
      tensors.push(tensor);
    }
    if (tensors.length > mostTensors) throw tooMany();
  }
  for (const [name, shard] of index ?? []) {
    if (shardOf.get(name) !== shard)
      throw new ModelFileError(`it lacks ${JSON.stringify(name)}, which the index places in it`, shard);
  }
  return tensors;
}

/** Reads one shard. @throws ModelFileError */
export async function readSafetensors(source: ByteSource): Promise<SafetensorsTensor[]> {
  if (source.sizeBytes < 8) throw new ModelFileError('it is cut short and has no header');
  const length = (await readWhole(source, 8)).readBigUInt64LE();
  if (length > BigInt(longestHeaderBytes))
    throw new ModelFileError(`its header claims ${length} bytes; the format allows ${longestHeaderBytes}`);
  const headerBytes = Number(length);
  if (8 + headerBytes > source.sizeBytes)
    throw new ModelFileError(
      `it is cut short, at least ${(8 + headerBytes - source.sizeBytes).toLocaleString('en')} bytes missing`,
    );
  const entries: SafetensorsEntry[] = [];
  for (const entry of headerEntries(await readWhole(source, headerBytes, 8))) {
    entries.push(entry);
    if (entries.length > mostTensors) throw tooMany();
    if (entries.length % entriesInOneTurn === 0) await setImmediate();
  }
  checkExtents(entries, source.sizeBytes - 8 - headerBytes);
  return entries.map(({ name, dtype, shape, begin, end }) => ({ name, dtype, shape, bytes: end - begin }));
}

/** The data is the tensors, one behind the other, without overlap, gap or rest. */
function checkExtents(entries: readonly SafetensorsEntry[], dataBytes: number): void {
  let at = 0;
  for (const entry of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    const { name, dtype, shape, begin, end } = entry;
    if (begin !== at)
      throw new ModelFileError(
        `its tensor ${JSON.stringify(name)} begins at byte ${begin} of the data, where ${at} was expected`,
      );
    const bits = bitsOfDtype[dtype];
    if (bits === undefined)
      throw new ModelFileError(`its tensor ${JSON.stringify(name)} has the unknown dtype ${JSON.stringify(dtype)}`);
    const bytes = shape.reduce((product, size) => product * size, bits) / 8;
    if (end - begin !== bytes)
      throw new ModelFileError(
        `its tensor ${JSON.stringify(name)} is ${end - begin} bytes long; its shape and dtype make ${bytes}`,
      );
    at = end;
  }
  if (at > dataBytes)
    throw new ModelFileError(
      `it is cut short, ${(at - dataBytes).toLocaleString('en')} of ${at.toLocaleString('en')} bytes of its data missing`,
    );
  if (at < dataBytes)
    throw new ModelFileError(`it has ${(dataBytes - at).toLocaleString('en')} bytes more than its header describes`);
}

const tooMany = () =>
  new ModelFileError(`it has more than ${mostTensors.toLocaleString('en')} tensors; no model has that many`);
