/** How long the bench takes its time for. */
export interface Effort {
  readonly rounds: number;
  /** Of each closed loop, and of each stream. */
  readonly seconds: number;
  /** Of the load under which memory must not grow. */
  readonly growthSeconds: number;
}

/** The rounds of one measure, in turned order in every second one, so that neither side always comes first. */
export async function inTurn(rounds: number, steps: readonly (() => Promise<void>)[]): Promise<void> {
  for (let round = 0; round < rounds; round += 1)
    for (const step of round % 2 === 0 ? steps : [...steps].reverse()) await step();
}
