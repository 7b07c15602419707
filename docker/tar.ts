export const blockBytes = 512;

export interface TarEntry {
  readonly name: string;
  readonly sizeBytes: number;
  readonly mode?: number;
  readonly directory?: boolean;
  /** Target of a symbolic link. */
  readonly linkTo?: string;
}

/** How many bytes follow a body of that size up to the next block. */
export const paddingOf = (sizeBytes: number): number => (blockBytes - (sizeBytes % blockBytes)) % blockBytes;

const largestOctalSize = 0o77777777777;

/**
 * The header of one entry (ustar): no owner, no time, so equal input gives equal bytes. A size of 8 GiB and more is written
 * in base 256, a name of over 100 bytes goes in front as a GNU long name: every Engine since 20.10 reads both.
 */
export function tarHeader(entry: TarEntry): Buffer {
  const nameBytes = Buffer.byteLength(entry.name);
  if (nameBytes > 100) {
    const longName = Buffer.alloc(nameBytes + 1 + paddingOf(nameBytes + 1));
    longName.write(entry.name);
    const first = block({ name: '././@LongLink', sizeBytes: nameBytes + 1 }, 'L');
    return Buffer.concat([
      first,
      longName,
      block({ ...entry, name: Buffer.from(entry.name).subarray(0, 100).toString('latin1') }, typeOf(entry)),
    ]);
  }
  return block(entry, typeOf(entry));
}

const typeOf = (entry: TarEntry) => (entry.directory ? '5' : entry.linkTo === undefined ? '0' : '2');

function block(entry: TarEntry, type: string): Buffer {
  const header = Buffer.alloc(blockBytes);
  header.write(entry.name, 0, 100);
  header.write(octal(entry.mode ?? (entry.directory ? 0o755 : 0o644), 7), 100);
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  writeSize(header, entry.sizeBytes);
  header.write(octal(0, 11), 136);
  header.write('        ', 148);
  header.write(type, 156);
  if (Buffer.byteLength(entry.linkTo ?? '') > 100)
    throw new Error(`${entry.name}: a link of over 100 bytes does not fit`);
  header.write(entry.linkTo ?? '', 157, 100);
  header.write('ustar\u000000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6).slice(0, 6)}\0 `, 148);
  return header;
}

const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`;

function writeSize(header: Buffer, sizeBytes: number): void {
  if (sizeBytes <= largestOctalSize) {
    header.write(octal(sizeBytes, 11), 124);
    return;
  }
  header[124] = 0x80;
  header.writeBigUInt64BE(BigInt(sizeBytes), 128);
}

/** A whole small archive in memory: what PUT /containers/{id}/archive takes. */
export function tarOf(files: readonly { name: string; content: Buffer; mode?: number }[]): Buffer {
  const parts = files.flatMap(({ name, content, mode }) => [
    tarHeader({ name, sizeBytes: content.length, ...(mode === undefined ? {} : { mode }) }),
    content,
    Buffer.alloc(paddingOf(content.length)),
  ]);
  return Buffer.concat([...parts, Buffer.alloc(2 * blockBytes)]);
}
