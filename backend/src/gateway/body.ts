import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { CortexError } from '../../../contract/errors.ts';

/** What the gateway looks at; all else goes to the engine untouched. */
const inspected = z.object({
  model: z.string().min(1),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
});

export interface InspectedBody {
  readonly model: string;
  readonly streamed: boolean;
  /** The client asked for the usage chunk itself. */
  readonly usageWanted: boolean;
  /** What the engine gets: the client's bytes, with usage asked for where a stream would not tell it. */
  readonly forEngine: Buffer;
}

/** Reads a body up to the limit, also where no length was announced. @throws CortexError body_too_large */
export async function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const tooLarge = () => new CortexError('body_too_large', { limitBytes });
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk);
    sizeBytes += bytes.length;
    if (sizeBytes > limitBytes) throw tooLarge();
    chunks.push(bytes);
  }
  return Buffer.concat(chunks, sizeBytes);
}

/** @throws CortexError invalid_request */
export function inspectBody(bytes: Buffer, canStream: boolean): InspectedBody {
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new CortexError('invalid_request', { detail: 'the body is not JSON.' }, { cause });
  }
  const parsed = inspected.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const param = issue?.path.join('.') ?? '';
    throw new CortexError(
      'invalid_request',
      { detail: `${param || 'the body'}: ${issue?.message ?? 'not valid'}.` },
      { param },
    );
  }
  const { model, stream, stream_options: options } = parsed.data;
  const streamed = canStream && stream === true;
  const usageWanted = options?.include_usage === true;
  return {
    model,
    streamed,
    usageWanted,
    forEngine: streamed && !usageWanted ? withUsage(bytes, json, options) : bytes,
  };
}

/** Asks the engine to tell a stream's usage. Where the client has no stream_options its bytes stay as they are. */
function withUsage(bytes: Buffer, json: unknown, options: object | null | undefined): Buffer {
  if (options === undefined) {
    const start = bytes.indexOf('{') + 1;
    return Buffer.concat([
      bytes.subarray(0, start),
      Buffer.from('"stream_options":{"include_usage":true},'),
      bytes.subarray(start),
    ]);
  }
  return Buffer.from(JSON.stringify({ ...Object(json), stream_options: { ...options, include_usage: true } }));
}
