import { median } from '../process.ts';
import type { Row } from '../table.ts';

/** Figures of several rounds, by name. */
export class Figures {
  readonly #values = new Map<string, number[]>();

  add(name: string, value: number): void {
    this.#values.set(name, [...(this.#values.get(name) ?? []), value]);
  }

  middle(name: string): number {
    return median(this.#values.get(name) ?? []);
  }
}

interface Against {
  readonly measure: string;
  readonly unit: string;
  readonly ours: number;
  readonly peer: number;
  readonly peerName: string;
  readonly goal: number | null;
}

/** More is better: ours must be at least `goal` times the peer's. */
export const moreRow = (row: Against): Row => compared(row, (ratio, goal) => ratio >= goal);

/** Less is better: ours must be at most `goal` times the peer's. */
export const lessRow = (row: Against): Row => compared(row, (ratio, goal) => ratio <= goal);

function compared(
  { measure, unit, ours, peer, peerName, goal }: Against,
  reached: (ratio: number, goal: number) => boolean,
): Row {
  const ratio = ours / peer;
  return {
    measure,
    unit,
    ours,
    peer,
    peer_name: peerName,
    ratio,
    goal,
    pass: goal === null ? null : reached(ratio, goal),
  };
}

/** A figure of its own that must not be above `goal`. */
export const limitRow = (measure: string, unit: string, ours: number, goal: number): Row => ({
  measure,
  unit,
  ours,
  peer: null,
  peer_name: '',
  ratio: null,
  goal,
  pass: ours <= goal,
});

/** What Cortex adds to the same thing without it; the peer is the figure without. */
export const addedRow = (measure: string, through: number, without: number, peerName: string, goal: number): Row => ({
  ...limitRow(measure, 'ms', through - without, goal),
  peer: without,
  peer_name: peerName,
});
