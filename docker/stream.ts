import { z } from 'zod';
import { CortexError } from '../contract/errors.ts';

/** One line of a pull's or a load's answer. Errors come as lines inside HTTP 200. */
const message = z.object({
  status: z.string().optional(),
  stream: z.string().optional(),
  id: z.string().optional(),
  error: z.string().optional(),
  errorDetail: z.object({ message: z.string().optional() }).optional(),
  progressDetail: z.object({ current: z.number().optional(), total: z.number().optional() }).optional(),
});
export type EngineMessage = z.infer<typeof message>;

/** Lines of a byte stream, whatever its chunks are. */
export async function* readLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
  }
  if (rest !== '') yield rest;
}

/**
 * Follows a pull's or a load's answer to its end. Since 28.0 a failed unpacking is only printed
 * ("Error unpacking image"), so such a line counts as an error too.
 * @throws CortexError docker_failed
 */
export async function followMessages(
  body: AsyncIterable<Uint8Array>,
  action: string,
  onMessage?: (message: EngineMessage) => void,
): Promise<void> {
  for await (const line of readLines(body)) {
    if (line.trim() === '') continue;
    const parsed = message.safeParse(JSON.parse(line));
    if (!parsed.success) continue;
    const problem = parsed.data.errorDetail?.message ?? parsed.data.error ?? unpackError(parsed.data.stream);
    if (problem !== undefined) throw new CortexError('docker_failed', { action, reason: problem });
    onMessage?.(parsed.data);
  }
}

const unpackError = (stream: string | undefined) =>
  stream?.startsWith('Error unpacking image') ? stream.trim() : undefined;

const frameHeaderBytes = 8;

/** The lines of a container's log: frames of stdout and stderr, told apart by 8-byte headers. */
export async function* readLogLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  yield* readLines(unframe(body));
}

async function* unframe(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let pending = Buffer.alloc(0);
  for await (const chunk of body) {
    pending = pending.length === 0 ? Buffer.from(chunk) : Buffer.concat([pending, chunk]);
    const frames: Uint8Array[] = [];
    while (pending.length >= frameHeaderBytes) {
      const length = pending.readUInt32BE(4);
      if (pending.length < frameHeaderBytes + length) break;
      frames.push(pending.subarray(frameHeaderBytes, frameHeaderBytes + length));
      pending = pending.subarray(frameHeaderBytes + length);
    }
    // Together: an engine's log is thousands of frames, and each value of a generator is some turns of its own.
    if (frames.length > 0) yield Buffer.concat(frames);
  }
}
