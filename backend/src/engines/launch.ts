/** How an engine's container is run: what is left once Docker's own matters are taken away. */
export interface Launch {
  readonly command: readonly string[];
  /** In place of the image's own, where the key must be read from its file first. */
  readonly entrypoint: readonly string[] | null;
  readonly env: readonly string[];
  readonly port: number;
  readonly sharedMemoryBytes: number | null;
}

/** Where the model's folder and the engine's own API key stand inside the container. */
export const modelMount = '/model';
export const apiKeyFile = '/run/cortex/api-key';

/** A flag with its value, or nothing where the engine's default is to hold. */
export const flag = (name: string, value: string | number | null): string[] =>
  value === null ? [] : [name, String(value)];
