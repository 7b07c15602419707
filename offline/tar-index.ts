import type { FileHandle } from 'node:fs/promises';
import { CortexError } from '../contract/errors.ts';
import { blockBytes, paddingOf } from '../docker/tar.ts';

export interface TarPlace {
  readonly name: string;
  /** Where the entry's bytes begin. */
  readonly offset: number;
  readonly sizeBytes: number;
  /** A symbolic or hard link's target. */
  readonly linkTo?: string;
}

const mostEntries = 200_000;
const longestNameBytes = 64 * 1024;

/**
 * Where everything of a tar file is, by its headers alone. Reads ustar, GNU long names and sizes, and pax paths and sizes.
 * @throws CortexError archive_invalid for anything that is not a tar file with a proper end
 */
export async function readTarIndex(file: FileHandle, name: string): Promise<Map<string, TarPlace>> {
  const refuse = (reason: string) => new CortexError('archive_invalid', { file: name, reason });
  const { size } = await file.stat();
  const places = new Map<string, TarPlace>();
  const header = Buffer.alloc(blockBytes);
  let longName: string | null = null;
  let longLink: string | null = null;
  let pax: ReadonlyMap<string, string> = new Map();
  for (let at = 0; ; ) {
    if (at + blockBytes > size) throw refuse('it ends early: it was cut while it was copied or saved');
    await file.read(header, 0, blockBytes, at);
    if (header.every((byte) => byte === 0)) return places;
    if (!hasSum(header)) throw refuse(`there is no header at byte ${at}`);
    const type = String.fromCharCode(header[156] ?? 0);
    const sizeBytes = Number(pax.get('size') ?? sizeOf(header));
    const offset = at + blockBytes;
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || offset + sizeBytes > size)
      throw refuse(`the entry at byte ${at} reaches behind the end`);
    const readText = async () => {
      if (sizeBytes > longestNameBytes) throw refuse('it has a name that is far too long');
      const bytes = Buffer.alloc(sizeBytes);
      await file.read(bytes, 0, sizeBytes, offset);
      return bytes.toString('utf8');
    };
    at = offset + sizeBytes + paddingOf(sizeBytes);
    if (type === 'L') longName = cString(await readText());
    else if (type === 'K') longLink = cString(await readText());
    else if (type === 'x') pax = parsePax(await readText());
    else if (type !== 'g') {
      const entryName = pax.get('path') ?? longName ?? nameOf(header);
      const linkTo =
        type === '1' || type === '2' ? (pax.get('linkpath') ?? longLink ?? text(header, 157, 100)) : undefined;
      const plain = entryName.replace(/^\.\//, '');
      places.set(plain, { name: plain, offset, sizeBytes, ...(linkTo === undefined ? {} : { linkTo }) });
      if (places.size > mostEntries) throw refuse('it has far too many entries');
      longName = null;
      longLink = null;
      pax = new Map();
    }
  }
}

const cString = (value: string) => value.split('\0')[0] ?? '';
const text = (header: Buffer, start: number, length: number) => cString(header.toString('utf8', start, start + length));

function nameOf(header: Buffer): string {
  const prefix = text(header, 345, 155);
  const name = text(header, 0, 100);
  return prefix === '' || text(header, 257, 5) !== 'ustar' ? name : `${prefix}/${name}`;
}

function sizeOf(header: Buffer): number {
  if (((header[124] ?? 0) & 0x80) !== 0) return Number(header.readBigUInt64BE(128));
  const octal = text(header, 124, 12).trim();
  return octal === '' ? 0 : Number.parseInt(octal, 8);
}

function hasSum(header: Buffer): boolean {
  const told = Number.parseInt(text(header, 148, 8).trim(), 8);
  const sum = header.reduce((total, byte, index) => total + (index >= 148 && index < 156 ? 0x20 : byte), 0);
  return told === sum;
}

/** `<length> <key>=<value>\n`, again and again (POSIX pax). */
function parsePax(body: string): Map<string, string> {
  const values = new Map<string, string>();
  const bytes = Buffer.from(body);
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const length = space === -1 ? Number.NaN : Number(bytes.toString('utf8', at, space));
    if (!Number.isInteger(length) || length <= space - at) break;
    const [key = '', ...value] = bytes.toString('utf8', space + 1, at + length - 1).split('=');
    values.set(key, value.join('='));
    at += length;
  }
  return values;
}
