export interface Row {
  readonly measure: string;
  readonly unit: string;
  /** Null where it could not be measured; `note` says why. */
  readonly ours: number | null;
  readonly peer: number | null;
  readonly peer_name: string;
  readonly ratio: number | null;
  readonly goal: number | null;
  /** Null where there is no goal, or no figure to hold against it. */
  readonly pass: boolean | null;
  readonly note?: string;
}

/** The rows as the table of docs/benchmarks.md. */
export function printTable(rows: readonly Row[]): void {
  const cells = rows.map(({ measure, unit, ours, peer, peer_name, ratio, goal, pass, note }) => [
    measure,
    ours === null ? '' : `${ours.toFixed(2)} ${unit}`.trim(),
    peer === null ? '' : `${peer.toFixed(2)} ${unit}`.trim(),
    peer_name,
    ratio === null ? '' : ratio.toFixed(2),
    goal === null ? '' : String(goal),
    note ?? (pass === null ? '' : pass ? 'reached' : 'missed'),
  ]);
  const head = ['measure', 'ours', 'peer', 'against', 'ratio', 'goal', ''];
  const widths = head.map((title, column) => Math.max(title.length, ...cells.map((cell) => cell[column]?.length ?? 0)));
  for (const line of [head, widths.map((width) => '-'.repeat(width)), ...cells])
    process.stdout.write(`| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |\n`);
}
