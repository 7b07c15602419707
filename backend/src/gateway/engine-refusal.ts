import { z } from 'zod';
import { CortexError, type ErrorType } from '../../../contract/errors.ts';
import { type ErrorShape, errorAnswer } from './error-shape.ts';

/** What the client gets of an engine's answer that is not 2xx. */
export interface EngineRefusal {
  readonly status: number;
  readonly body: Buffer;
}

const inOpenAiShape = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
});
/** vLLM and llama-server have a number for the code, llama-server no param: clients with strict types cannot read that. */
const nearOpenAiShape = (type: ErrorType) =>
  z.looseObject({
    error: z.looseObject({
      message: z.string(),
      type: z.string().catch(type),
      param: z.string().nullable().catch(null),
      code: z
        .union([z.string(), z.number().transform(String)])
        .nullable()
        .catch(null),
    }),
  });
const refusedByEngine = nearOpenAiShape('invalid_request_error');
const failedInEngine = nearOpenAiShape('server_error');
/** vLLM before 0.10 puts the message at the top; FastAPI's own checks put a `detail`. */
const inOtherShape = z.union([
  z.object({ error: z.object({ message: z.string() }) }).transform(({ error }) => error.message),
  z.object({ message: z.string() }).transform(({ message }) => message),
  z.object({ detail: z.string() }).transform(({ detail }) => detail),
  z.object({ detail: z.unknown() }).transform(({ detail }) => JSON.stringify(detail)),
]);

const shownChars = 500;
/** Routers' own words for a path that they don't have; a model that is not found is told in other words. */
const lacksPath = /^(?:not found|file not found|method not allowed|this server does not support .*|)$/i;

export interface RefusedAnswer extends EngineRefusal {
  readonly model: string;
  readonly path: string;
  readonly requestId: string;
  readonly errorShape: ErrorShape;
}

/**
 * Puts into the client's shape why an engine did not answer. In OpenAI's shape its bytes go on as they are; what comes near
 * it is completed; in another shape the words are kept.
 * @throws CortexError engine_failed where the fault is not the client's, engine_lacks_endpoint
 */
export function shapeRefusal({ status, body, model, path, requestId, errorShape }: RefusedAnswer): EngineRefusal {
  const json = parse(body);
  const error = engineError({ status, body, model, path });
  if (error.code === 'engine_lacks_endpoint') throw error;
  // The client's key was good: when the engine refuses ours, or sends us elsewhere, it is set up wrongly.
  const isOurs = status < 400 || status === 401 || status === 403;
  if (!isOurs && errorShape !== 'anthropic') {
    if (inOpenAiShape.safeParse(json).success) return { status, body };
    const near = (status < 500 ? refusedByEngine : failedInEngine).safeParse(json);
    if (near.success) return { status, body: Buffer.from(JSON.stringify(near.data)) };
  }
  if (!isOurs && errorShape === 'anthropic' && z.object({ type: z.literal('error') }).safeParse(json).success)
    return { status, body };
  if (isOurs || status >= 500) throw error;
  const refusal = new CortexError('invalid_request', { detail: wordsIn(body) });
  return { status, body: Buffer.from(JSON.stringify(errorAnswer(refusal, requestId, errorShape))) };
}

/** Why an engine did not answer a request of ours, whoever's fault it is. */
export function engineError({
  status,
  body,
  model,
  path,
}: Pick<RefusedAnswer, 'status' | 'body' | 'model' | 'path'>): CortexError {
  const detail = wordsIn(body);
  if ((status === 404 || status === 405 || status === 501) && lacksPath.test(detail.trim()))
    return new CortexError('engine_lacks_endpoint', { model, path });
  return new CortexError('engine_failed', { model, status, detail });
}

const wordsIn = (body: Buffer): string =>
  (inOtherShape.safeParse(parse(body)).data ?? body.toString('utf8')).slice(0, shownChars);

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
