import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { csvLine } from './csv.ts';

/** Reads one line as RFC 4180 tells. */
function readCsv(line: string): string[] {
  const cells: string[] = [];
  let rest = line.replace(/\r\n$/, '');
  for (;;) {
    const quoted = /^"((?:[^"]|"")*)"/.exec(rest);
    const cell = quoted ? quoted[0] : (/^[^,]*/.exec(rest)?.[0] ?? '');
    cells.push(quoted ? (quoted[1] ?? '').replaceAll('""', '"') : cell);
    rest = rest.slice(cell.length);
    if (rest === '') return cells;
    rest = rest.slice(1);
  }
}

describe('a line of CSV', () => {
  it('is read back as it was', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' }), { minLength: 1 }), (cells) => {
        const read = readCsv(csvLine(cells));
        expect(read.map((cell, n) => (cell === cells[n] ? cell : cell.replace(/^'/, '')))).toEqual(cells);
      }),
    );
  });

  it.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', ' =1', '\r=1', '\n=1', '＝1', '=cmd|" /C calc"!A0'])(
    'keeps %j from being run as a formula',
    (text) => {
      expect(readCsv(csvLine([text]))).toEqual([`'${text}`]);
    },
  );

  it('leaves numbers and plain names alone', () => {
    expect(csvLine([-1.5, true, null, 'llama-3', 'a,b'])).toBe('-1.5,true,,llama-3,"a,b"\r\n');
  });
});
