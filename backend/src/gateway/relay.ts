import { CortexError } from '../../../contract/errors.ts';
import type { UsageRecord } from '../../../contract/usage.ts';
import type { HttpResponse } from '../http/message.ts';
import { oneWriteBytes } from '../http/one-write.ts';
import type { AnswerSink, EngineCall } from './engine-client/connection.ts';
import type { EngineClient, EngineRequest } from './engine-client/engine-client.ts';
import { type EngineRefusal, shapeRefusal } from './engine-refusal.ts';
import { type ErrorShape, errorEvent } from './error-shape.ts';
import { forgetTime, type TimeLimited, watchTime } from './time-limits.ts';
import { AnswerMeter, StreamMeter, type TokenCounts } from './usage-meter.ts';

/** In milliseconds; 0 is no limit. */
export interface RelayTimeouts {
  /** Until the first byte of the answer. */
  readonly firstByteMs: number;
  /** Between two pieces of the answer. */
  readonly idleMs: number;
  readonly totalMs: number;
}

export interface RelayOptions {
  readonly client: EngineClient;
  readonly request: EngineRequest;
  readonly model: string;
  readonly path: string;
  readonly requestId: string;
  readonly errorShape: ErrorShape;
  /** Take out of the stream what the engine says of usage only because the gateway asked. */
  readonly hideUsage: boolean;
  readonly timeouts: RelayTimeouts;
  /** Another endpoint may be tried: an engine that says that it is not ready is then no answer. */
  readonly othersLeft: boolean;
  readonly response: HttpResponse;
  /** Called once, with the status, before the first byte goes to the client; headers may be set. */
  readonly onAnswer: (status: number) => void;
  /** Called once, before the last byte goes to the client: what it has seen whole is then in the journal. */
  readonly onEnded: (end: RelayEnd) => void;
}

export interface RelayEnd {
  readonly status: number;
  readonly outcome: UsageRecord['outcome'];
  readonly counts: TokenCounts;
  readonly firstByteAtMs: number | null;
  readonly cause: string | null;
}

/** `not-begun`: the engine cannot have worked on the request, so another one may get it. */
export type RelayResult =
  | { readonly kind: 'ended'; readonly end: RelayEnd }
  | { readonly kind: 'not-begun'; readonly error: CortexError }
  | { readonly kind: 'failed'; readonly error: CortexError };

export const noCounts: TokenCounts = { promptTokens: 0, completionTokens: 0, cachedTokens: 0, estimated: false };
/** How a request ends whose client left before anything was known of the answer. */
export const leftEarly: RelayEnd = {
  status: 499,
  outcome: 'client_gone',
  counts: { ...noCounts, estimated: true },
  firstByteAtMs: null,
  cause: 'client_gone',
};

// Of the engine's headers only these say something about the body; all others speak of a connection that is not the client's.
const passedHeaders = ['content-type', 'cache-control', 'retry-after'];
const keptRefusalBytes = 64 * 1024;

/**
 * Sends a request to an engine and its answer's bytes to the client as they come. Ends once, whoever goes first: the
 * client's leaving aborts the engine's work, and an engine that breaks off inside a stream gives the client an error event.
 * `failed` means that nothing was sent to the client yet.
 */
export function relay(options: RelayOptions): Promise<RelayResult> {
  return new Promise((resolve) => new Exchange(options, resolve).begin());
}

type Mode = 'waiting' | 'stream' | 'document' | 'refusal' | 'over';

class Exchange implements AnswerSink, TimeLimited {
  readonly #options: RelayOptions;
  readonly #settle: (result: RelayResult) => void;
  #call: EngineCall | null = null;
  #mode: Mode = 'waiting';
  #status = 0;
  #headers: ReadonlyMap<string, string> = new Map();
  #meter: StreamMeter | AnswerMeter = noMeter;
  #firstByteAtMs: number | null = null;
  #documentBytes = 0;
  /** All of a short document: it goes out with its head when the engine has ended, which is now. */
  #whole: Buffer | null = null;
  #refusal: Buffer[] = [];
  #refusalBytes = 0;
  /** Something came, or was taken, since the time was looked at last. */
  #moved = false;
  #quietSinceMs: number;
  readonly #begunAtMs: number;
  #drainAwaited = false;
  #told = false;

  constructor(options: RelayOptions, settle: (result: RelayResult) => void) {
    this.#options = options;
    this.#settle = settle;
    this.#begunAtMs = performance.now();
    this.#quietSinceMs = this.#begunAtMs;
  }

  begin(): void {
    const { response, client, request } = this.#options;
    if (response.destroyed) {
      this.#finish(leftEarly);
      return;
    }
    response.onClose(this.#onClose);
    watchTime(this);
    this.#call = client.send(request, this);
  }

  onHead(status: number, headers: ReadonlyMap<string, string>): void {
    const { response, hideUsage, onAnswer } = this.#options;
    this.#status = status;
    this.#headers = headers;
    this.#moved = true;
    if (status < 200 || status > 299) {
      this.#mode = 'refusal';
      return;
    }
    if (!/^text\/event-stream\b/i.test(headers.get('content-type') ?? '')) {
      this.#mode = 'document';
      this.#meter = new AnswerMeter(headers.get('content-type') ?? '');
      return;
    }
    this.#mode = 'stream';
    this.#meter = new StreamMeter({ hideUsage });
    onAnswer(status);
    this.#passHeaders();
    response.setHeader('x-accel-buffering', 'no');
    response.writeHead(status);
    // The client learns now that its request was taken, though the first token may be long in coming.
    response.flushHeaders();
  }

  onData(bytes: Buffer): boolean {
    this.#moved = true;
    this.#firstByteAtMs ??= Date.now();
    if (this.#mode === 'stream') return this.#event(bytes);
    if (this.#mode === 'document') return this.#document(bytes);
    if (this.#refusalBytes < keptRefusalBytes) {
      const kept = Buffer.from(bytes.subarray(0, keptRefusalBytes - this.#refusalBytes));
      this.#refusalBytes += kept.length;
      this.#refusal.push(kept);
    }
    return true;
  }

  onEnd(): void {
    const { response, model, path } = this.#options;
    if (this.#mode === 'stream') {
      const rest = this.#streamMeter.rest();
      this.#finish(this.#end(this.#status, this.#streamMeter.failed ? 'engine_error' : 'ok'));
      response.end(rest);
      return;
    }
    if (this.#mode === 'refusal') {
      this.#refused();
      return;
    }
    if (this.#documentBytes === 0) {
      const detail = `its answer to ${path} is empty.`;
      this.#fail(new CortexError('engine_failed', { model, status: this.#status, detail }));
      return;
    }
    this.#finish(this.#end(this.#status, 'ok'));
    response.end(this.#whole ?? undefined);
  }

  onFail(cause: Error, begun: boolean): void {
    const { model } = this.#options;
    if (this.#mode === 'waiting') {
      const error = new CortexError('engine_unreachable', { model }, { cause });
      this.#over();
      this.#settle({ kind: begun ? 'failed' : 'not-begun', error });
    } else this.#brokenOff(new CortexError('engine_interrupted', { model }, { cause }));
  }

  get #streamMeter(): StreamMeter {
    if (this.#meter instanceof StreamMeter) return this.#meter;
    throw new Error('this answer is no stream');
  }

  #event(bytes: Buffer): boolean {
    const { response } = this.#options;
    const meter = this.#streamMeter;
    const passed = meter.pass(bytes);
    // Clients take [DONE] for the end, whatever the engine still does with the connection.
    if (meter.done) this.#tell(this.#end(this.#status, meter.failed ? 'engine_error' : 'ok'));
    if (passed.length === 0 || response.write(passed)) return true;
    this.#awaitDrain();
    return false;
  }

  #document(lent: Buffer): boolean {
    const { response, onAnswer } = this.#options;
    const length = this.#headers.get('content-length');
    // `onEnd` comes now, while the bytes still stand: they need not be copied.
    const isWhole = lent.length <= oneWriteBytes && length === String(lent.length);
    const bytes = isWhole ? lent : Buffer.from(lent);
    if (this.#meter instanceof AnswerMeter) this.#meter.see(bytes);
    if (this.#documentBytes === 0) {
      onAnswer(this.#status);
      this.#passHeaders();
      if (length !== undefined) response.setHeader('content-length', length);
      response.writeHead(this.#status);
    }
    this.#documentBytes += bytes.length;
    if (isWhole) {
      this.#whole = bytes;
      return true;
    }
    if (response.write(bytes)) return true;
    this.#awaitDrain();
    return false;
  }

  #awaitDrain(): void {
    if (this.#drainAwaited) return;
    this.#drainAwaited = true;
    this.#options.response.onDrain(() => {
      this.#drainAwaited = false;
      this.#moved = true;
      this.#call?.resume(this);
    });
  }

  #refused(): void {
    const { response, model, path, requestId, errorShape, othersLeft, onAnswer } = this.#options;
    const body = Buffer.concat(this.#refusal);
    if (this.#status === 503 && othersLeft) {
      this.#over();
      const detail = 'it is not ready.';
      this.#settle({ kind: 'not-begun', error: new CortexError('engine_failed', { model, status: 503, detail }) });
      return;
    }
    let refusal: EngineRefusal;
    try {
      refusal = shapeRefusal({ status: this.#status, body, model, path, requestId, errorShape });
    } catch (error) {
      this.#fail(error instanceof CortexError ? error : new CortexError('internal_error', { requestId }));
      return;
    }
    onAnswer(refusal.status);
    const outcome = refusal.status >= 500 ? 'engine_error' : 'client_error';
    this.#finish({
      status: refusal.status,
      outcome,
      counts: noCounts,
      firstByteAtMs: Date.now(),
      cause: refusal.status >= 500 ? 'engine_failed' : 'engine_refused',
    });
    // llama-server says 503 while it loads, and not for how long.
    const later = refusal.status === 429 || refusal.status === 503 ? '5' : undefined;
    const retryAfter = this.#headers.get('retry-after') ?? later;
    if (retryAfter !== undefined) response.setHeader('retry-after', retryAfter);
    response.setHeader('content-type', 'application/json');
    response.setHeader('cache-control', 'no-store');
    response.writeHead(refusal.status);
    response.end(refusal.body);
  }

  readonly #onClose = (): void => {
    const { response } = this.#options;
    if (response.finished || this.#mode === 'over') return;
    this.#call?.abort(this);
    // Many clients close as soon as they have read [DONE]: they missed nothing.
    if (this.#mode === 'stream' && this.#streamMeter.done)
      this.#finish(this.#end(this.#status, this.#streamMeter.failed ? 'engine_error' : 'ok'));
    else if (this.#firstByteAtMs === null || this.#mode === 'refusal') this.#finish(leftEarly);
    else this.#finish(this.#end(499, 'client_gone', 'client_gone'));
  };

  /** An answer that cannot be completed: a stream ends with an error event, a document with a cut connection. */
  #brokenOff(error: CortexError): void {
    const { response, requestId, errorShape } = this.#options;
    if (this.#mode === 'stream') {
      const { events } = this.#streamMeter;
      this.#finish(this.#end(error.status, 'engine_error', error.code));
      response.end(Buffer.from(errorEvent(error, requestId, errorShape, events)));
      return;
    }
    if (this.#documentBytes === 0) {
      this.#fail(error);
      return;
    }
    // The status is gone already; a cut connection tells the client that this is not the whole answer.
    this.#finish(this.#end(error.status, 'engine_error', error.code));
    response.destroy();
  }

  checkTime(nowMs: number): void {
    const { firstByteMs, idleMs, totalMs } = this.#options.timeouts;
    if (this.#moved) this.#quietSinceMs = nowMs;
    this.#moved = false;
    const quietMs = this.#mode === 'waiting' ? firstByteMs : idleMs;
    if (totalMs > 0 && nowMs - this.#begunAtMs >= totalMs) this.#timedOut('in all', totalMs);
    else if (quietMs > 0 && nowMs - this.#quietSinceMs >= quietMs)
      this.#timedOut(this.#mode === 'waiting' ? 'for its first byte' : 'between two pieces of its answer', quietMs);
  }

  #timedOut(what: string, limitMs: number): void {
    this.#call?.abort(this);
    if (this.#drainAwaited) {
      // The engine was held back by a client that takes nothing, and must not be left alone for that.
      this.#finish(this.#end(499, 'client_gone', 'client_gone'));
      this.#options.response.destroy();
      return;
    }
    const error = new CortexError('engine_timeout', { model: this.#options.model, what, seconds: limitMs / 1000 });
    if (this.#mode === 'waiting') this.#fail(error);
    else this.#brokenOff(error);
  }

  #passHeaders(): void {
    for (const name of passedHeaders) {
      const value = this.#headers.get(name);
      if (value !== undefined) this.#options.response.setHeader(name, value);
    }
  }

  #end(status: number, outcome: RelayEnd['outcome'], cause: string | null = null): RelayEnd {
    return { status, outcome, counts: this.#meter.counts(), firstByteAtMs: this.#firstByteAtMs, cause };
  }

  #fail(error: CortexError): void {
    this.#over();
    this.#settle({ kind: 'failed', error });
  }

  #finish(end: RelayEnd): void {
    this.#over();
    this.#tell(end);
    this.#settle({ kind: 'ended', end });
  }

  #tell(end: RelayEnd): void {
    if (this.#told) return;
    this.#told = true;
    this.#options.onEnded(end);
  }

  #over(): void {
    this.#mode = 'over';
    forgetTime(this);
    this.#options.response.offClose(this.#onClose);
  }
}

const noMeter = new AnswerMeter('');
