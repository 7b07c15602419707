import { z } from 'zod';
import { type Usage, usageInDocument, usageOf } from './usage-in-json.ts';

export interface TokenCounts {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Of the prompt, what the engine had in its cache. */
  readonly cachedTokens: number;
  /** True where the engine did not tell. */
  readonly estimated: boolean;
}

const usageOnlyChunk = z.object({ choices: z.array(z.unknown()).length(0), usage: z.looseObject({}) });

/** A whole answer is kept and parsed up to this size; of a larger one only both ends are kept and searched. */
const parseLimitBytes = 1024 * 1024;
const endBytes = 64 * 1024;

/** Finds the usage in an answer that is one JSON document, in bounded memory. */
export class AnswerMeter {
  #chunks: Buffer[] = [];
  #sizeBytes = 0;
  #head: Buffer | null = null;
  #all: string | null = null;
  readonly #isJson: boolean;

  constructor(contentType: string) {
    this.#isJson = contentType === '' || contentType.toLowerCase().includes('json');
  }

  /** Takes the whole answer at once, in Latin-1. */
  seeAll(text: string): void {
    this.#all = text;
  }

  /** Keeps the bytes. */
  see(chunk: Buffer): void {
    if (!this.#isJson) return;
    this.#chunks.push(chunk);
    this.#sizeBytes += chunk.length;
    if (this.#sizeBytes <= parseLimitBytes) return;
    const seen = Buffer.concat(this.#chunks);
    // Copies: a view would keep all of it in memory.
    this.#head ??= Buffer.from(seen.subarray(0, endBytes));
    this.#chunks = [Buffer.from(seen.subarray(-endBytes))];
    this.#sizeBytes = endBytes;
  }

  counts(): TokenCounts {
    if (this.#all !== null) return toCounts(this.#isJson ? usageInDocument(this.#all) : undefined, 0);
    const rest = join(this.#chunks);
    if (this.#head === null) return toCounts(usageInDocument(rest.toString('latin1')), 0);
    // vLLM tells its usage last, llama.cpp's embeddings tell it first.
    const found = usageIn(rest.toString('latin1')) ?? usageIn(this.#head.toString('latin1'));
    return toCounts(found, 0);
  }
}

const longestUsageChars = 2048;

/** Inside a JSON text's strings a quote is escaped, so these patterns can't match what a model wrote. */
function usageIn(text: string): Usage | undefined {
  const start = /"usage"\s*:\s*\{/.exec(text)?.index;
  if (start === undefined) return undefined;
  const around = text.slice(start, start + longestUsageChars);
  const numberOf = (name: string) => new RegExp(`"${name}"\\s*:\\s*(\\d+)`).exec(around)?.[1];
  const prompt = numberOf('prompt_tokens') ?? numberOf('input_tokens');
  if (prompt === undefined) return undefined;
  const completion = numberOf('completion_tokens') ?? numberOf('output_tokens') ?? 0;
  return { prompt: Number(prompt), completion: Number(completion), cached: Number(numberOf('cached_tokens') ?? 0) };
}

const nothing = Buffer.alloc(0);
const longestEventBytes = 8 * 1024 * 1024;
const lf = 0x0a;
const cr = 0x0d;
/** What counts as a token where the engine told nothing: an event that brings text of whichever kind. */
const bringsText = /"(?:content|text|reasoning_content|reasoning|arguments|delta|thinking|partial_json)"\s*:\s*"[^"]/;
/** The last event of each dialect. */
const lastEvent = /^data: ?\[DONE\]|^event: ?(?:message_stop|response\.(?:completed|failed|incomplete))\s/m;
const lastOfTranscript = 'data: {"type":"transcript.text.done"';
const errorStart = /^(?:event: ?(?:error|response\.failed)\s|data: ?\{"error")/m;
/** vLLM says this in every chunk, but only because the gateway asked for usage. */
const nullUsageAtEnd = /\s*,\s*"usage"\s*:\s*null(?=\s*\}\s*$)/;

/**
 * Reads a stream of server-sent events as it passes. Events go on whole, as they end: half an event would swallow what the
 * client has to be told when the engine breaks off inside it. Where the client did not ask for usage, what our asking adds
 * is taken out.
 */
export class StreamMeter {
  readonly #hideUsage: boolean;
  /** The bytes of an event that has not ended yet, and how far they were searched for its end. */
  #pending: Buffer = Buffer.alloc(0);
  #lineStart = 0;
  #searched = 0;
  /** What became of the event that ended with the last byte, a CR, whose LF may still come. */
  #cutCrLf: 'passed' | 'left out' | null = null;
  #gaveUp = false;
  #usage: Usage | undefined;
  #deltas = 0;
  /** How many events have ended. */
  events = 0;
  /** The engine told an error inside the stream. */
  failed = false;
  /** All that the engine had to say was passed on. */
  done = false;

  constructor(options: { hideUsage: boolean }) {
    this.#hideUsage = options.hideUsage;
  }

  /** The model has begun to write. */
  get hasText(): boolean {
    return this.#deltas > 0;
  }

  /** Gives what the client gets of these bytes; keeps none of them. */
  pass(chunk: Buffer): Buffer {
    if (this.#gaveUp) return chunk;
    const bytes = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const kept: Buffer[] = [];
    let start = 0;
    if (this.#cutCrLf !== null && bytes[0] === lf) {
      if (this.#cutCrLf === 'passed') kept.push(bytes.subarray(0, 1));
      start = this.#lineStart = this.#searched = 1;
    }
    if (bytes.length > 0) this.#cutCrLf = null;
    // A blank line ends an event. All line ends of the field, LF, CRLF and CR, are understood.
    let nextLf = bytes.indexOf(lf, this.#searched);
    let nextCr = bytes.indexOf(cr, this.#searched);
    let searched = bytes.length;
    while (nextLf !== -1 || nextCr !== -1) {
      const at = nextCr === -1 || (nextLf !== -1 && nextLf < nextCr) ? nextLf : nextCr;
      const isBlank = at === this.#lineStart;
      const isLast = at === nextCr && at + 1 === bytes.length;
      if (isLast && !isBlank) {
        // Its LF may still come.
        searched = at;
        break;
      }
      const next = at === nextCr && bytes[at + 1] === lf ? at + 2 : at + 1;
      this.#lineStart = next;
      if (isBlank) {
        const event = this.#see(bytes.subarray(start, next));
        kept.push(event);
        start = next;
        if (isLast) this.#cutCrLf = event.length > 0 ? 'passed' : 'left out';
      }
      if (nextLf !== -1 && nextLf < next) nextLf = bytes.indexOf(lf, next);
      if (nextCr !== -1 && nextCr < next) nextCr = bytes.indexOf(cr, next);
    }
    this.#pending = start === bytes.length ? nothing : Buffer.from(bytes.subarray(start));
    this.#lineStart -= start;
    this.#searched = searched - start;
    if (this.#pending.length > longestEventBytes) {
      // No engine writes such an event. Memory stays bounded, the bytes go on, the counts become an estimate.
      kept.push(this.#pending);
      start = bytes.length;
      this.#pending = nothing;
      this.#gaveUp = true;
    }
    return this.#hideUsage ? join(kept) : bytes.subarray(0, start);
  }

  /** What was held back when the engine ended without a blank line. */
  rest(): Buffer {
    const rest = this.#pending;
    this.#pending = nothing;
    return rest.length === 0 ? rest : this.#see(rest);
  }

  counts(): TokenCounts {
    const told = toCounts(this.#usage, this.#deltas);
    // What Anthropic's first event tells is not the end of the count.
    if (this.done || told.estimated || told.completionTokens >= this.#deltas) return told;
    return { ...told, completionTokens: this.#deltas, estimated: true };
  }

  /** Takes note of an event and gives what the client gets of it. */
  #see(event: Buffer): Buffer {
    this.events += 1;
    // Only ASCII is looked for, and most events have nothing more to tell: decoding each would cost more than relaying it.
    const seen = event.toString('latin1');
    // Nearly all events are one line of data: what else one may begin with need not be looked for in them.
    const isPlain = seen.startsWith('data: {') && seen.indexOf('\n') >= seen.length - 2;
    if (isPlain ? seen.startsWith(lastOfTranscript) : lastEvent.test(seen)) this.done = true;
    else if (bringsText.test(seen)) this.#deltas += 1;
    if (isPlain ? seen.startsWith('data: {"error"') : errorStart.test(seen)) this.failed = true;
    if (!seen.includes('"usage"')) return event;
    const text = event.toString('utf8');
    const data = text
      .split(/\r\n|\r|\n/)
      .filter((line) => line.startsWith('data:'))
      .map((line) => line.slice(5).trimStart())
      .join('\n');
    if (nullUsageAtEnd.test(data)) return this.#hideUsage ? withoutNullUsage(event, text) : event;
    const json = parse(data, z.unknown());
    const told = usageOf(json);
    // Anthropic tells the prompt at the start and the completion at the end.
    if (told !== undefined)
      this.#usage = {
        prompt: told.prompt ?? this.#usage?.prompt,
        completion: told.completion ?? this.#usage?.completion,
        cached: told.cached ?? this.#usage?.cached,
      };
    return this.#hideUsage && usageOnlyChunk.safeParse(json).success ? Buffer.alloc(0) : event;
  }
}

/** Cut out of the bytes, so that what is not valid UTF-8 goes on as it came. */
function withoutNullUsage(event: Buffer, text: string): Buffer {
  const found = nullUsageAtEnd.exec(text);
  if (found === null) return event;
  const start = Buffer.byteLength(text.slice(0, found.index));
  if (Buffer.byteLength(text) !== event.length) return event;
  return Buffer.concat([event.subarray(0, start), event.subarray(start + Buffer.byteLength(found[0]))]);
}

function join(parts: readonly Buffer[]): Buffer {
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
}

function toCounts(found: Usage | undefined, deltas: number): TokenCounts {
  if (found?.prompt === undefined && found?.completion === undefined)
    return { promptTokens: 0, completionTokens: deltas, cachedTokens: 0, estimated: true };
  return {
    promptTokens: found.prompt ?? 0,
    completionTokens: found.completion ?? 0,
    cachedTokens: found.cached ?? 0,
    estimated: false,
  };
}

function parse<T extends z.ZodType>(text: string, schema: T): z.output<T> | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
