import type { Dispatcher } from 'undici';
import { z } from 'zod';
import { CortexError, toErrorBody } from '../../../contract/errors.ts';

/** What the client gets of an engine's answer that is not 2xx. */
export interface EngineRefusal {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
}

const inOpenAiShape = z.object({ error: z.object({ message: z.string() }) });
/** vLLM before 0.10 puts the message at the top; FastAPI's own checks put a `detail`. */
const inOtherShape = z.union([
  z.object({ message: z.string() }).transform(({ message }) => message),
  z.object({ detail: z.string() }).transform(({ detail }) => detail),
  z.object({ detail: z.unknown() }).transform(({ detail }) => JSON.stringify(detail)),
]);

const keptBytes = 64 * 1024;
const shownChars = 500;

/**
 * Reads why an engine did not answer. In OpenAI's shape its bytes go on as they are; in another shape the words are kept.
 * @throws CortexError engine_failed where the fault is not the client's, engine_interrupted
 */
export async function readRefusal(
  answer: Dispatcher.ResponseData,
  model: string,
  requestId: string,
): Promise<EngineRefusal> {
  const status = answer.statusCode;
  const body = await readStart(answer).catch((cause: unknown) => {
    throw new CortexError('engine_interrupted', { model }, { cause });
  });
  const json = parse(body);
  // The client's key was good: when the engine refuses ours, or sends us elsewhere, it is set up wrongly.
  const isOurs = status < 400 || status === 401 || status === 403;
  if (!isOurs && inOpenAiShape.safeParse(json).success) return { status, contentType: 'application/json', body };
  const detail = inOtherShape.safeParse(json).data ?? body.toString('utf8');
  if (isOurs || status >= 500)
    throw new CortexError('engine_failed', { model, status, detail: detail.slice(0, shownChars) });
  const error = new CortexError('invalid_request', { detail: detail.slice(0, shownChars) });
  const shaped = Buffer.from(JSON.stringify(toErrorBody(error, requestId)));
  return { status, contentType: 'application/json', body: shaped };
}

async function readStart(answer: Dispatcher.ResponseData): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of answer.body) {
    const bytes: Buffer = chunk;
    chunks.push(bytes);
    sizeBytes += bytes.length;
    if (sizeBytes > keptBytes) break;
  }
  return Buffer.concat(chunks);
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}
