import type { Logger } from 'pino';

/** Undoes what was done, last first; each step even if one before it failed. */
export class Closing {
  readonly #steps: (() => unknown)[] = [];
  add(step: () => unknown): void {
    this.#steps.push(step);
  }
  async run(logger: Logger): Promise<void> {
    for (const step of this.#steps.splice(0).reverse()) {
      try {
        await step();
      } catch (error) {
        logger.error({ err: error }, 'A part did not stop in order');
      }
    }
  }
}
