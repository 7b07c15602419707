import { CortexError } from '../contract/errors.ts';

/** A part of a package file as it lies on one volume. */
export interface Piece {
  readonly volume: number;
  /** Its name below the volume's folder. */
  readonly name: string;
  readonly sizeBytes: number;
}

export interface VolumeLayout {
  readonly volumes: number;
  readonly pieces: ReadonlyMap<string, readonly Piece[]>;
}

// FAT32 holds files of at most 2^32-1 bytes. Of the discs 2 to 6 % stay free for the file system (airgap-field.md, section 3, Media).
const presets: Readonly<Record<string, number>> = {
  fat32: 4_294_967_295,
  dvd: 4_400_000_000,
  'dvd-dl': 8_100_000_000,
  bd25: 24_400_000_000,
};
const units: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
  ti: 2 ** 40,
};
/** Every volume carries the bill, its signature, checksums and README. */
const smallestVolumeBytes = 8_000_000;

/** `fat32`, `dvd`, `4.4GB`, `700MiB` → bytes. @throws CortexError option_invalid */
export function parseVolumeSize(text: string): number {
  const preset = presets[text.toLowerCase()];
  if (preset !== undefined) return preset;
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?$/i.exec(text.trim()) ?? [];
  const factor = units[unit.toLowerCase()];
  const sizeBytes = number === '' || factor === undefined ? Number.NaN : Math.floor(Number(number) * factor);
  if (sizeBytes >= smallestVolumeBytes) return sizeBytes;
  throw new CortexError('option_invalid', {
    option: '--volume-size',
    value: text,
    allowed: 'fat32, dvd, dvd-dl, bd25, or a size of 8MB or more such as 16GB',
  });
}

export const volumeFolder = (volume: number): string => `volume-${String(volume).padStart(3, '0')}`;

/**
 * Cuts files over volumes, in order. A file goes whole onto a volume where it fits; one that does not fit is cut where the
 * volume is full, at any byte, so no space is lost but less than `spill` at the end of each volume.
 */
export function layOutVolumes(
  files: readonly { readonly name: string; readonly sizeBytes: number }[],
  { limitBytes, reserveBytes }: { limitBytes: number; reserveBytes: number },
): VolumeLayout {
  const roomBytes = limitBytes - reserveBytes;
  if (roomBytes < smallestVolumeBytes / 2) {
    throw new CortexError('option_invalid', {
      option: '--volume-size',
      value: `${limitBytes} bytes`,
      allowed: `more than ${reserveBytes + smallestVolumeBytes / 2}: each volume carries the bill of the whole package`,
    });
  }
  const pieces = new Map<string, Piece[]>();
  let volume = 1;
  let leftBytes = roomBytes;
  const spill = Math.min(roomBytes / 50, 64_000_000);
  for (const { name, sizeBytes } of files) {
    if (sizeBytes <= leftBytes || (sizeBytes <= roomBytes && leftBytes < spill)) {
      if (sizeBytes > leftBytes) {
        volume += 1;
        leftBytes = roomBytes;
      }
      pieces.set(name, [{ volume, name, sizeBytes }]);
      leftBytes -= sizeBytes;
      continue;
    }
    const parts: Piece[] = [];
    for (let rest = sizeBytes; rest > 0; ) {
      if (leftBytes === 0) {
        volume += 1;
        leftBytes = roomBytes;
      }
      const taken = Math.min(rest, leftBytes);
      parts.push({ volume, name: `${name}.${String(parts.length + 1).padStart(3, '0')}`, sizeBytes: taken });
      rest -= taken;
      leftBytes -= taken;
    }
    pieces.set(name, parts);
  }
  return { volumes: volume, pieces };
}
