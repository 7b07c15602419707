import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { layOutVolumes, parseVolumeSize } from './volume-layout.ts';

describe('volumes', () => {
  it('have the sizes of their media', () => {
    expect(parseVolumeSize('fat32')).toBe(4_294_967_295);
    expect(parseVolumeSize('DVD')).toBe(4_400_000_000);
    expect(parseVolumeSize('1.5GiB')).toBe(1.5 * 2 ** 30);
    for (const text of ['', '1', 'GB', '-5GB', '12 parsecs', '1e9'])
      expect(() => parseVolumeSize(text)).toThrow('Allowed: fat32');
  });

  it('hold every byte of every file once, in order, and none is too full', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 60_000_000 }), { maxLength: 30 }),
        fc.integer({ min: 8_000_000, max: 50_000_000 }),
        (sizes, limitBytes) => {
          const files = sizes.map((sizeBytes, index) => ({ name: `file-${index}`, sizeBytes }));
          const reserveBytes = 1_000_000;
          const { volumes, pieces } = layOutVolumes(files, { limitBytes, reserveBytes });
          const filled = new Array<number>(volumes).fill(0);
          for (const { name, sizeBytes } of files) {
            const parts = pieces.get(name) ?? [];
            expect(parts.reduce((total, part) => total + part.sizeBytes, 0)).toBe(sizeBytes);
            for (const part of parts) filled[part.volume - 1] = (filled[part.volume - 1] ?? 0) + part.sizeBytes;
            expect(parts.map(({ volume }) => volume)).toEqual(parts.map(({ volume }) => volume).sort((a, b) => a - b));
          }
          for (const bytes of filled) expect(bytes).toBeLessThanOrEqual(limitBytes - reserveBytes);
        },
      ),
    );
  });
});
