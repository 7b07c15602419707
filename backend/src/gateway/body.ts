import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { CortexError } from '../../../contract/errors.ts';
import { findValue } from './json-value.ts';

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

/**
 * Reads a body up to the limit, also where no length was announced; null where the client left before its end. What is
 * behind the limit is left unread: see `discardRest`.
 * @throws CortexError body_too_large
 */
export function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer | null> {
  const tooLarge = () => new CortexError('body_too_large', { limitBytes });
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    const settle = (act: () => void) => {
      request.off('data', take).off('end', complete).off('close', left);
      act();
    };
    const take = (chunk: Buffer) => {
      sizeBytes += chunk.length;
      if (sizeBytes <= limitBytes) chunks.push(chunk);
      else settle(() => reject(tooLarge()));
    };
    const complete = () => settle(() => resolve(Buffer.concat(chunks, sizeBytes)));
    const left = () => settle(() => resolve(null));
    request.on('data', take).once('end', complete).once('close', left);
    // A client that leaves is told by 'close'; without a listener here it would be an uncaught error.
    request.on('error', () => undefined);
    if (request.destroyed) left();
  });
}

const discardLimitBytes = 64 * 1024 * 1024;
const discardLimitMs = 10_000;

/**
 * Lets the rest of a refused body run into nothing. Closing at once would reset the connection, and the client, still
 * sending, would see that instead of the answer; a client that goes on for too long is cut off.
 */
export function discardRest(request: IncomingMessage): void {
  let sizeBytes = 0;
  const cut = () => request.destroy();
  const timer = setTimeout(cut, discardLimitMs).unref();
  request.once('close', () => clearTimeout(timer)).once('end', () => clearTimeout(timer));
  request.on('error', () => undefined);
  request.on('data', (chunk: Buffer) => {
    sizeBytes += chunk.length;
    if (sizeBytes > discardLimitBytes) cut();
  });
  request.resume();
}

/** @throws CortexError invalid_request */
export function inspectBody(bytes: Buffer, canStream: boolean): InspectedBody {
  const parsed = inspected.safeParse(parse(bytes));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const param = issue?.path.join('.') ?? '';
    throw new CortexError(
      'invalid_request',
      { detail: `${param || 'the body'}: ${issue?.message ?? 'not valid'}.` },
      param === '' ? {} : { param },
    );
  }
  const { model, stream, stream_options: options } = parsed.data;
  const streamed = canStream && stream === true;
  const usageWanted = options?.include_usage === true;
  return { model, streamed, usageWanted, forEngine: streamed && !usageWanted ? withUsage(bytes, options) : bytes };
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new CortexError('invalid_request', { detail: 'the body is not JSON.' }, { cause });
  }
}

/** Asks the engine to tell a stream's usage, and changes no other byte of the client. */
function withUsage(bytes: Buffer, options: object | null | undefined): Buffer {
  const wanted = JSON.stringify({ ...options, include_usage: true });
  const place = findValue(bytes, 'stream_options');
  if (place !== null)
    return Buffer.concat([bytes.subarray(0, place.start), Buffer.from(wanted), bytes.subarray(place.end)]);
  const start = bytes.indexOf('{') + 1;
  const member = Buffer.from(`"stream_options":${wanted},`);
  return Buffer.concat([bytes.subarray(0, start), member, bytes.subarray(start)]);
}
