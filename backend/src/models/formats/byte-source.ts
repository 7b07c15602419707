import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/** A model file that can't be loaded. The message goes on after the file's name: `it is cut short, 12 bytes missing`. */
export class ModelFileError extends Error {
  override readonly name = 'ModelFileError';
  /** The file's name, without its folder; null where the fault is not one file's. */
  readonly file: string | null;

  constructor(message: string, file: string | null = null) {
    super(message);
    this.file = file;
  }
}

/** A file as the folder names it, and where it really is: a link has another name there. */
export interface NamedFile {
  readonly name: string;
  readonly path: string;
}

/** A file's bytes, to be read in pieces. */
export interface ByteSource {
  readonly sizeBytes: number;
  /** Fills the buffer from that offset on; gives how many bytes there were. */
  read(into: Buffer, at: number): Promise<number>;
}

/**
 * Opens a regular file for as long as it is used. Links and special files are not opened: a pipe would never answer.
 * @param signal stops the reading between two pieces
 * @throws ModelFileError whatever went wrong, with the file's name
 */
export async function withFile<T>(
  { name, path }: NamedFile,
  signal: AbortSignal | undefined,
  use: (source: ByteSource) => Promise<T>,
): Promise<T> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const found = await file.stat();
      if (!found.isFile()) throw new ModelFileError('it is not a regular file');
      return await use({
        sizeBytes: found.size,
        read: async (into, at) => {
          if (signal?.aborted) throw new ModelFileError('reading it took too long');
          return (await file.read(into, 0, into.length, at)).bytesRead;
        },
      });
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof ModelFileError) throw error.file === null ? new ModelFileError(error.message, name) : error;
    if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
      const hint = error.code === 'EACCES' ? ', Cortex needs the right to read it' : '';
      throw new ModelFileError(`it can't be read (${error.code})${hint}`, name);
    }
    throw error;
  }
}

/** The first bytes of a file, all of them or a refusal. @throws ModelFileError */
export async function readWhole(source: ByteSource, lengthBytes: number, at = 0): Promise<Buffer> {
  const bytes = Buffer.alloc(lengthBytes);
  let filled = 0;
  while (filled < lengthBytes) {
    const got = await source.read(bytes.subarray(filled), at + filled);
    if (got === 0) throw new ModelFileError('it became shorter while it was read');
    filled += got;
  }
  return bytes;
}
