import { z } from 'zod';
import { CortexError } from './errors.ts';

/** Why something went wrong, where it is no answer's own error. */
export const failure = z.object({ code: z.string(), message: z.string(), hint: z.string() });
export type Failure = z.infer<typeof failure>;

export function failureOf(error: unknown): Failure {
  if (error instanceof CortexError) return { code: error.code, message: error.message, hint: error.hint };
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'internal_error', message, hint: 'make logs shows more.' };
}
