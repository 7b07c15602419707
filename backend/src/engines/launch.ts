import type { Engine } from '../../../contract/models.ts';
import type { OptionIssue } from './command-line.ts';

/** How an engine's container is run: what is left once Docker's own matters are taken away. */
export interface Launch {
  readonly command: readonly string[];
  /** In place of the image's own, where the key must be read from its file first. */
  readonly entrypoint: readonly string[] | null;
  readonly env: readonly string[];
  readonly sharedMemoryBytes: number | null;
  /** What this version of the engine can't be told; the command line leaves it out. */
  readonly issues: readonly OptionIssue[];
}

/** Where the model's folder and the engine's own API key stand inside the container. */
export const modelMount = '/model';
export const apiKeyFile = '/run/cortex/api-key';

/** Where an engine listens inside its container. */
export const enginePort: Readonly<Record<Engine, number>> = { llamacpp: 8080, vllm: 8000 };

/** The variables of a model, in the Engine's form. */
export const variables = (extra: Readonly<Record<string, string>>): string[] =>
  Object.entries(extra).map(([name, value]) => `${name}=${value}`);
