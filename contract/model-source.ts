import { z } from 'zod';

/** A file beside a model's own: where they came from. Whoever brings a model from a hub or out of a package writes it. */
export const modelSourceFile = '.cortex-source.json';

export const modelSource = z.object({
  /** `org/name` on the hub. */
  repository: z.string().max(256).nullable(),
  /** The commit that the files are of. */
  revision: z.string().max(128).nullable(),
  /** The licence by its short name: `apache-2.0`. */
  licence: z.string().max(128).nullable(),
});
export type ModelSource = z.infer<typeof modelSource>;
