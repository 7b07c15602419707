import { CortexError } from '../../../contract/errors.ts';
import type { ServingSettings } from '../../../contract/routing.ts';
import type { UsageRecord } from '../../../contract/usage.ts';
import type { HttpResponse } from '../http/message.ts';
import { oneWriteBytes } from '../http/one-write.ts';
import type { AnswerSink, EngineCall } from './engine-client/connection.ts';
import type { EngineClient, EngineRequest } from './engine-client/engine-client.ts';
import { type EngineRefusal, shapeRefusal } from './engine-refusal.ts';
import { type ErrorShape, errorEvent } from './error-shape.ts';
import { forgetTime, type TimeLimited, watchTime } from './time-limits.ts';
import { AnswerMeter, StreamMeter, type TokenCounts } from './usage-meter.ts';

/** In seconds; 0 is no limit. */
export type RelayTimes = Pick<
  ServingSettings,
  'first_byte_timeout_seconds' | 'idle_timeout_seconds' | 'total_timeout_seconds'
>;

/** Who hears of an answer. */
export interface RelayOwner {
  /** Called once, before the first byte goes to the client; headers may be set. */
  onAnswer(status: number): void;
  /** Called once, before the last byte goes to the client: what it has seen whole is then in the journal. */
  onEnded(end: RelayEnd): void;
  /** Called once, when all is over. `failed` and `not-begun` mean that nothing was sent to the client yet. */
  onSettled(result: RelayResult): void;
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
  readonly times: RelayTimes;
  /** Another endpoint may be tried: an engine that says that it is not ready is then no answer. */
  readonly othersLeft: boolean;
  readonly response: HttpResponse;
  readonly owner: RelayOwner;
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
const againSeconds = 5;

/**
 * Sends a request to an engine and its answer's bytes to the client as they come. Ends once, whoever goes first: the
 * client's leaving aborts the engine's work, and an engine that breaks off inside a stream gives the client an error event.
 */
export const relay = (options: RelayOptions): void => new Relay(options).begin();

type Mode = 'waiting' | 'stream' | 'document' | 'refusal' | 'over';

class Relay implements AnswerSink, TimeLimited {
  readonly #options: RelayOptions;
  #call: EngineCall | null = null;
  #mode: Mode = 'waiting';
  #status = 0;
  #headers: ReadonlyMap<string, string> = noHeaders;
  #meter: StreamMeter | AnswerMeter = noMeter;
  #firstByteAtMs: number | null = null;
  #documentBytes = 0;
  /** All of a short document, in Latin-1: it goes out with its head when the engine has ended, which is now. */
  #whole = '';
  #refusal: Buffer = nothing;
  /** Something came, or was taken, since the time was looked at last. */
  #moved = false;
  #quietSinceMs: number;
  readonly #begunAtMs: number;
  #drainAwaited = false;
  #told = false;
  watchedAt = -1;

  constructor(options: RelayOptions) {
    this.#options = options;
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
    const { response, hideUsage, owner } = this.#options;
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
    owner.onAnswer(status);
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
    if (this.#refusal.length < keptRefusalBytes)
      this.#refusal = Buffer.concat([this.#refusal, bytes.subarray(0, keptRefusalBytes - this.#refusal.length)]);
    return true;
  }

  onEnd(): void {
    const { response, model, path } = this.#options;
    if (this.#mode === 'stream') {
      const rest = this.#streamMeter.rest();
      const end = this.#end(this.#status, this.#streamMeter.failed ? 'engine_error' : 'ok');
      this.#close(end);
      response.end(rest);
      this.#settle(end);
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
    const end = this.#end(this.#status, 'ok');
    this.#close(end);
    response.end(this.#whole);
    this.#settle(end);
  }

  onFail(cause: Error, begun: boolean): void {
    const { model } = this.#options;
    if (this.#mode === 'waiting') {
      const error = new CortexError('engine_unreachable', { model }, { cause });
      this.#over();
      this.#options.owner.onSettled({ kind: begun ? 'failed' : 'not-begun', error });
    } else this.#brokenOff(new CortexError('engine_interrupted', { model }, { cause }));
  }

  get #streamMeter(): StreamMeter {
    if (this.#meter instanceof StreamMeter) return this.#meter;
    throw new Error('this answer is no stream');
  }

  get #answerMeter(): AnswerMeter {
    if (this.#meter instanceof AnswerMeter) return this.#meter;
    throw new Error('this answer is a stream');
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
    const { response } = this.#options;
    const isFirst = this.#documentBytes === 0;
    this.#documentBytes += lent.length;
    if (isFirst) this.#documentHead();
    if (lent.length <= oneWriteBytes && this.#headers.get('content-length') === String(lent.length)) {
      this.#whole = lent.toString('latin1');
      this.#answerMeter.seeAll(this.#whole);
      return true;
    }
    const bytes = Buffer.from(lent);
    this.#answerMeter.see(bytes);
    if (response.write(bytes)) return true;
    this.#awaitDrain();
    return false;
  }

  #documentHead(): void {
    const { response, owner } = this.#options;
    owner.onAnswer(this.#status);
    this.#passHeaders();
    const length = this.#headers.get('content-length');
    if (length !== undefined) response.setHeader('content-length', length);
    response.writeHead(this.#status);
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
    const { response, model, path, requestId, errorShape, othersLeft, owner } = this.#options;
    if (this.#status === 503 && othersLeft) {
      this.#over();
      const again = { retryAfterSeconds: againSeconds };
      owner.onSettled({
        kind: 'not-begun',
        error: new CortexError('model_not_ready', { model, state: 'busy' }, again),
      });
      return;
    }
    let refusal: EngineRefusal;
    try {
      refusal = shapeRefusal({ status: this.#status, body: this.#refusal, model, path, requestId, errorShape });
    } catch (error) {
      this.#fail(error instanceof CortexError ? error : new CortexError('internal_error', { requestId }));
      return;
    }
    owner.onAnswer(refusal.status);
    const outcome = refusal.status >= 500 ? 'engine_error' : 'client_error';
    const end: RelayEnd = {
      status: refusal.status,
      outcome,
      counts: noCounts,
      firstByteAtMs: Date.now(),
      cause: refusal.status >= 500 ? 'engine_failed' : 'engine_refused',
    };
    this.#close(end);
    // llama-server says 503 while it loads, and not for how long.
    const later = refusal.status === 429 || refusal.status === 503 ? String(againSeconds) : undefined;
    const retryAfter = this.#headers.get('retry-after') ?? later;
    if (retryAfter !== undefined) response.setHeader('retry-after', retryAfter);
    response.setHeader('content-type', 'application/json');
    response.setHeader('cache-control', 'no-store');
    response.writeHead(refusal.status);
    response.end(refusal.body);
    this.#settle(end);
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
      const end = this.#end(error.status, 'engine_error', error.code);
      this.#close(end);
      response.end(Buffer.from(errorEvent(error, requestId, errorShape, events)));
      this.#settle(end);
      return;
    }
    if (this.#documentBytes === 0) {
      this.#fail(error);
      return;
    }
    // The status is gone already; a cut connection tells the client that this is not the whole answer.
    const end = this.#end(error.status, 'engine_error', error.code);
    this.#close(end);
    response.destroy();
    this.#settle(end);
  }

  checkTime(nowMs: number): void {
    const { times } = this.#options;
    if (this.#moved) this.#quietSinceMs = nowMs;
    this.#moved = false;
    const waits = this.#mode === 'waiting';
    const quiet = waits ? times.first_byte_timeout_seconds : times.idle_timeout_seconds;
    const total = times.total_timeout_seconds;
    if (total > 0 && nowMs - this.#begunAtMs >= total * 1000) this.#timedOut('in all', total);
    else if (quiet > 0 && nowMs - this.#quietSinceMs >= quiet * 1000)
      this.#timedOut(waits ? 'for its first byte' : 'between two pieces of its answer', quiet);
  }

  #timedOut(what: string, seconds: number): void {
    this.#call?.abort(this);
    if (this.#drainAwaited) {
      // The engine was held back by a client that takes nothing, and must not be left alone for that.
      this.#finish(this.#end(499, 'client_gone', 'client_gone'));
      this.#options.response.destroy();
      return;
    }
    const error = new CortexError('engine_timeout', { model: this.#options.model, what, seconds });
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
    this.#options.owner.onSettled({ kind: 'failed', error });
  }

  /** For a client that has gone. */
  #finish(end: RelayEnd): void {
    this.#close(end);
    this.#settle(end);
  }

  /** Comes before the last byte, which is for the client to see when the journal has the record. */
  #close(end: RelayEnd): void {
    this.#over();
    this.#tell(end);
  }

  /** Comes after the last byte: somebody else may get the place. */
  #settle(end: RelayEnd): void {
    this.#options.owner.onSettled({ kind: 'ended', end });
  }

  #tell(end: RelayEnd): void {
    if (this.#told) return;
    this.#told = true;
    this.#options.owner.onEnded(end);
  }

  #over(): void {
    this.#mode = 'over';
    forgetTime(this);
    this.#options.response.offClose(this.#onClose);
  }
}

const noMeter = new AnswerMeter('');
const noHeaders: ReadonlyMap<string, string> = new Map();
const nothing = Buffer.alloc(0);
