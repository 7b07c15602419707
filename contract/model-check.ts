import { z } from 'zod';
import { failure } from './failure.ts';
import { defineRoute } from './route.ts';

/** What an engine is asked for. */
export const checkKind = z.enum(['chat', 'completions', 'embeddings', 'rerank']);
export type CheckKind = z.infer<typeof checkKind>;

/** How one replica answered. */
export const replicaCheck = z.object({
  replica: z.number().int(),
  ok: z.boolean(),
  kind: checkKind,
  /** What was sent to it; null where nothing was, since it is not ready. */
  request: z.record(z.string(), z.unknown()).nullable(),
  /** The text that it wrote, or in words what came: `embedding of 1024 numbers`. Null where no answer came. */
  answer: z.string().nullable(),
  /** As the engine counts them; null where it does not tell. */
  prompt_tokens: z.number().int().nullable(),
  completion_tokens: z.number().int().nullable(),
  /** Until the first text; null where an answer comes in one piece. */
  first_token_ms: z.number().nullable(),
  duration_ms: z.number().nullable(),
  /** Of the text, from its first token to its last. */
  tokens_per_second: z.number().nullable(),
  error: failure.nullable(),
  /** What is to be known of an answer that is none the less good. */
  note: z.string().nullable(),
});
export type ReplicaCheck = z.infer<typeof replicaCheck>;

export const modelCheck = z.object({
  /** Whether every replica answered. */
  ok: z.boolean(),
  at: z.iso.datetime(),
  replicas: z.array(replicaCheck),
});
export type ModelCheck = z.infer<typeof modelCheck>;

export const modelCheckRoutes = {
  checkModel: defineRoute({
    method: 'POST',
    path: '/admin/models/:id/check',
    access: 'models:write',
    summary: 'Send one small request to each replica of a running model, and tell how each answered',
    params: z.object({ id: z.string() }),
    response: z.object({ check: modelCheck }),
  }),
};
