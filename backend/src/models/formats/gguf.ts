import { ByteCursor } from './byte-cursor.ts';
import { type ByteSource, ModelFileError, type NamedFile, withFile } from './byte-source.ts';
import { type GgufMetadata, named, readMetadata } from './gguf-metadata.ts';
import { type GgufTensor, readTensors } from './gguf-tensors.ts';

/** One .gguf file, read from head to the last tensor's extent. */
export interface GgufFile extends GgufMetadata {
  readonly tensors: readonly GgufTensor[];
  /** Bytes behind the last tensor; llama.cpp does not read them. */
  readonly surplusBytes: number;
}

/** A whole model: the metadata of its first part and the tensors of all. */
export interface GgufModel extends GgufMetadata {
  readonly tensors: readonly GgufTensor[];
  readonly surplusBytes: number;
}

/** The longest vocabularies published take some 20 MB. */
const furthestHeadByte = 256 * 1024 ** 2;

/**
 * Reads a model that has one file or is a set of parts, and checks that every byte it speaks of is there.
 * @param files the parts in their order
 * @throws ModelFileError
 */
export async function readGgufModel(files: readonly NamedFile[], signal?: AbortSignal): Promise<GgufModel> {
  let first: GgufFile | undefined;
  const tensors: GgufTensor[] = [];
  const names = new Set<string>();
  let surplusBytes = 0;
  for (const [index, file] of files.entries()) {
    const { name } = file;
    const part = await withFile(file, signal, readGguf);
    first ??= part;
    checkPart(part, index, files.length, name);
    for (const tensor of part.tensors) {
      if (names.has(tensor.name)) throw new ModelFileError(`it repeats the tensor ${named(tensor.name)}`, name);
      names.add(tensor.name);
      tensors.push(tensor);
    }
    surplusBytes += part.surplusBytes;
  }
  if (first === undefined) throw new RangeError('a model has at least one file');
  const expected = first.metadata.get('split.tensors.count');
  if (files.length > 1 && typeof expected === 'number' && expected !== tensors.length)
    throw new ModelFileError(`the set should have ${expected} tensors and has ${tensors.length}`);
  return { metadata: first.metadata, passedOver: first.passedOver, tensors, surplusBytes };
}

function checkPart({ metadata }: GgufFile, index: number, count: number, name: string): void {
  const number = metadata.get('split.no');
  const of = metadata.get('split.count');
  // A file that was never split has neither; a part has both, and the first is part 0.
  if (count === 1 && (of === undefined || of === 0 || of === 1)) return;
  if (count === 1) {
    const which = typeof number === 'number' ? `part ${number + 1}` : 'a part';
    const example = `name-00001-of-${String(of).padStart(5, '0')}.gguf`;
    throw new ModelFileError(`it is ${which} of ${String(of)}: llama.cpp finds them by names like ${example}`, name);
  }
  if (number === undefined || of === undefined)
    throw new ModelFileError('it is named as a part of a set and does not say which: it was renamed', name);
  if (number !== index || of !== count) {
    const says = typeof number === 'number' ? `part ${number + 1} of ${String(of)}` : 'no part';
    throw new ModelFileError(`it is named as part ${index + 1} of ${count} and says that it is ${says}`, name);
  }
}

/** Reads one file. @throws ModelFileError */
export async function readGguf(source: ByteSource): Promise<GgufFile> {
  const cursor = new ByteCursor(source, furthestHeadByte);
  await cursor.fetch(4);
  if (cursor.text(4) !== 'GGUF') throw new ModelFileError('it does not start with the letters GGUF');
  await cursor.fetch(20);
  const version = cursor.u32();
  // A number read in the wrong byte order has its low bytes empty.
  if (version !== 0 && (version & 0xffff) === 0)
    throw new ModelFileError('it is written for big-endian machines; download the little-endian file');
  if (version === 1)
    throw new ModelFileError(
      'it has format version 1, which llama.cpp gave up in 2023: convert it again, or download a newer file',
    );
  if (version !== 2 && version !== 3)
    throw new ModelFileError(`it has format version ${version}; versions 2 and 3 can be read`);
  const tensorCount = cursor.u64();
  const metadata = await readMetadata(cursor, cursor.u64());
  const tensors = await readTensors(cursor, tensorCount, alignmentOf(metadata), source.sizeBytes);
  return { ...metadata, ...tensors };
}

function alignmentOf({ metadata }: GgufMetadata): number {
  const alignment = metadata.get('general.alignment') ?? 32;
  if (typeof alignment !== 'number' || !Number.isInteger(Math.log2(alignment)) || alignment < 1 || alignment > 2 ** 31)
    throw new ModelFileError('its alignment is not a power of 2');
  return alignment;
}
