import { z } from 'zod';

export interface TokenCounts {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** True where the engine did not tell. */
  readonly estimated: boolean;
}

const usage = z.object({ prompt_tokens: z.number().int(), completion_tokens: z.number().int().default(0) });
const answerWithUsage = z.object({ usage });
const usageOnlyChunk = z.object({ choices: z.array(z.unknown()).length(0), usage: z.looseObject({}) });

/** A whole answer is parsed up to this size; of a larger one only its end is searched. */
const parseLimitBytes = 4 * 1024 * 1024;
const tailBytes = 64 * 1024;

/** Finds the usage in an answer that is one JSON document, in bounded memory. */
export class AnswerMeter {
  #chunks: Buffer[] = [];
  #sizeBytes = 0;
  #cut = false;

  see(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#sizeBytes += chunk.length;
    if (this.#sizeBytes > parseLimitBytes) {
      const tail = Buffer.concat(this.#chunks).subarray(-tailBytes);
      this.#chunks = [tail];
      this.#sizeBytes = tail.length;
      this.#cut = true;
    }
  }

  counts(): TokenCounts {
    const text = Buffer.concat(this.#chunks).toString('utf8');
    // Inside a JSON text a quote is escaped, so these patterns can't match what a model wrote.
    const found = this.#cut
      ? {
          prompt_tokens: numberAfter(text, 'prompt_tokens'),
          completion_tokens: numberAfter(text, 'completion_tokens') ?? 0,
        }
      : parse(text, answerWithUsage)?.usage;
    return counts(usage.safeParse(found).data, 0);
  }
}

const numberAfter = (text: string, name: string) => {
  const digits = new RegExp(`"${name}"\\s*:\\s*(\\d+)`).exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits);
};

const longestEventBytes = 1024 * 1024;

/**
 * Reads a stream of server-sent events as it passes. Where the client did not ask for the usage chunk it is taken out:
 * events then go on one by one as they end; otherwise every byte goes on as it comes.
 */
export class StreamMeter {
  readonly #hideUsage: boolean;
  #pending: Buffer = Buffer.alloc(0);
  #usage: z.infer<typeof usage> | undefined;
  #deltas = 0;

  constructor(options: { hideUsage: boolean }) {
    this.#hideUsage = options.hideUsage;
  }

  /** Gives what the client gets of these bytes. */
  pass(chunk: Buffer): Buffer {
    const bytes = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const kept: Buffer[] = [];
    let start = 0;
    for (let end = endOfEvent(bytes, start); end !== -1; end = endOfEvent(bytes, start)) {
      const event = bytes.subarray(start, end);
      if (!(this.#isUsageOnly(event) && this.#hideUsage)) kept.push(event);
      start = end;
    }
    this.#pending = bytes.subarray(start);
    if (this.#pending.length > longestEventBytes) {
      kept.push(this.#pending);
      this.#pending = Buffer.alloc(0);
    }
    return this.#hideUsage ? Buffer.concat(kept) : chunk;
  }

  /** What was held back when the engine ended without a blank line. */
  rest(): Buffer {
    return this.#hideUsage ? this.#pending : Buffer.alloc(0);
  }

  counts(): TokenCounts {
    return counts(this.#usage, this.#deltas);
  }

  #isUsageOnly(event: Buffer): boolean {
    const data = event
      .toString('utf8')
      .split(/\r?\n/)
      .filter((line) => line.startsWith('data:'))
      .map((line) => line.slice(5).trimStart())
      .join('\n');
    if (data === '' || data === '[DONE]') return false;
    if (!data.includes('"usage"')) {
      this.#deltas += 1;
      return false;
    }
    const json = parse(data, z.unknown());
    this.#usage = answerWithUsage.safeParse(json).data?.usage ?? this.#usage;
    const only = usageOnlyChunk.safeParse(json).success;
    if (!only) this.#deltas += 1;
    return only;
  }
}

/** The index behind the next blank line, or -1. Both line ends of the standard occur in the field. */
function endOfEvent(bytes: Buffer, from: number): number {
  const lf = bytes.indexOf('\n\n', from);
  const crlf = bytes.indexOf('\r\n\r\n', from);
  if (lf === -1) return crlf === -1 ? -1 : crlf + 4;
  return crlf !== -1 && crlf < lf ? crlf + 4 : lf + 2;
}

function counts(found: z.infer<typeof usage> | undefined, deltas: number): TokenCounts {
  if (found === undefined) return { promptTokens: 0, completionTokens: deltas, estimated: true };
  return { promptTokens: found.prompt_tokens, completionTokens: found.completion_tokens, estimated: false };
}

function parse<T extends z.ZodType>(text: string, schema: T): z.output<T> | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
