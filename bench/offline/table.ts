export interface Row {
  readonly measure: string;
  readonly unit: string;
  readonly ours: number;
  readonly peer: number | null;
  readonly peer_name: string;
  readonly ratio: number;
  readonly goal: number | null;
  /** Null where there is no goal. */
  readonly pass: boolean | null;
}

/** The rows as the table of docs/benchmarks.md. */
export function printTable(rows: readonly Row[]): void {
  const cells = rows.map(({ measure, unit, ours, peer, peer_name, ratio, goal, pass }) => [
    measure,
    `${ours.toFixed(2)} ${unit}`.trim(),
    peer === null ? '' : `${peer.toFixed(2)} ${unit}`.trim(),
    peer_name,
    ratio.toFixed(2),
    goal === null ? '' : String(goal),
    pass === null ? '' : pass ? 'reached' : 'missed',
  ]);
  const head = ['measure', 'ours', 'peer', 'against', 'ratio', 'goal', ''];
  const widths = head.map((title, column) => Math.max(title.length, ...cells.map((cell) => cell[column]?.length ?? 0)));
  for (const line of [head, widths.map((width) => '-'.repeat(width)), ...cells])
    process.stdout.write(`| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |\n`);
}
