import { z } from 'zod';

/** A change of a model's options that may put it right, made with one click: an edit like any other. */
export const fix = z.object({
  text: z.string(),
  /** Null gives an option back to the engine. */
  options: z.record(z.string(), z.union([z.number(), z.string(), z.boolean(), z.array(z.string()), z.null()])),
});
export type Fix = z.infer<typeof fix>;

/** What shows why an engine ended, and what may be done about it. */
export const cause = z.object({
  /** The line that shows it, of the engine's log or of what Docker said; cut where it is long. */
  evidence: z.string(),
  fixes: z.array(fix),
});
export type Cause = z.infer<typeof cause>;
