import { CortexError } from '../../../contract/errors.ts';
import type { Endpoint } from '../routing/table.ts';
import type { AnswerSink, EngineCall } from './engine-client/connection.ts';
import type { EngineClient } from './engine-client/engine-client.ts';
import { engineError } from './engine-refusal.ts';
import { AnswerMeter, StreamMeter } from './usage-meter.ts';

/** A request of Cortex's own to an engine. */
export interface MeasuredRequest {
  readonly path: string;
  /** Without the model's name. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly timeoutMs: number;
}

export interface MeasuredAnswer {
  /** Until the first text of a stream; null where none came. */
  readonly firstTextMs: number | null;
  readonly durationMs: number;
  /** As the engine counts them; null where it does not tell. */
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
  /** The answer, or as much of its begin as anybody reads. */
  readonly body: Buffer;
}

const keptBytes = 1024 * 1024;

/**
 * Sends a request to an engine as the gateway sends those of clients, and measures its answer.
 * @throws CortexError engine_unreachable, engine_failed, engine_lacks_endpoint, engine_interrupted, engine_too_slow; or the signal's reason
 */
export function sendMeasured(
  client: EngineClient,
  endpoint: Endpoint,
  request: MeasuredRequest,
  signal: AbortSignal,
): Promise<MeasuredAnswer> {
  return new Promise((resolve, reject) => new Measuring(client, endpoint, request, signal, resolve, reject).begin());
}

class Measuring implements AnswerSink {
  readonly #client: EngineClient;
  readonly #endpoint: Endpoint;
  readonly #request: MeasuredRequest;
  readonly #signal: AbortSignal;
  readonly #resolve: (answer: MeasuredAnswer) => void;
  readonly #reject: (reason: unknown) => void;
  #call: EngineCall | null = null;
  #timer: NodeJS.Timeout | null = null;
  #sentAtMs = 0;
  #status = 0;
  #meter: StreamMeter | AnswerMeter = new AnswerMeter('');
  #firstTextMs: number | null = null;
  #doneMs: number | null = null;
  #kept: Buffer[] = [];
  #keptBytes = 0;

  constructor(
    client: EngineClient,
    endpoint: Endpoint,
    request: MeasuredRequest,
    signal: AbortSignal,
    resolve: (answer: MeasuredAnswer) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#client = client;
    this.#endpoint = endpoint;
    this.#request = request;
    this.#signal = signal;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  begin(): void {
    const { url, ca, apiKey, model } = this.#endpoint;
    const { path, body, timeoutMs } = this.#request;
    if (this.#signal.aborted) {
      this.#reject(this.#signal.reason);
      return;
    }
    this.#signal.addEventListener('abort', this.#onAbort);
    this.#timer = setTimeout(() => {
      this.#call?.abort(this);
      this.#fail(new CortexError('engine_too_slow', { model, seconds: Math.round(timeoutMs / 1000) }));
    }, timeoutMs);
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    if (apiKey !== null) headers.authorization = `Bearer ${apiKey}`;
    const bytes = Buffer.from(JSON.stringify({ model, ...body }));
    this.#sentAtMs = performance.now();
    this.#call = this.#client.send({ url, ca, method: 'POST', path, headers, body: bytes }, this);
  }

  onHead(status: number, headers: ReadonlyMap<string, string>): void {
    const type = headers.get('content-type') ?? '';
    this.#status = status;
    this.#meter = /^text\/event-stream\b/i.test(type) ? new StreamMeter({ hideUsage: false }) : new AnswerMeter(type);
  }

  onData(lent: Buffer): boolean {
    const meter = this.#meter;
    const bytes = Buffer.from(lent);
    if (this.#keptBytes < keptBytes) {
      this.#kept.push(bytes);
      this.#keptBytes += bytes.length;
    }
    if (meter instanceof AnswerMeter) {
      meter.see(bytes);
      return true;
    }
    meter.pass(bytes);
    if (meter.hasText) this.#firstTextMs ??= this.#elapsedMs;
    if (meter.done) this.#doneMs ??= this.#elapsedMs;
    return true;
  }

  onEnd(): void {
    const body = Buffer.concat(this.#kept);
    if (this.#meter instanceof StreamMeter) this.#meter.rest();
    const error = this.#errorIn(body);
    if (error !== null) {
      this.#fail(error);
      return;
    }
    const counts = this.#meter.counts();
    this.#over();
    this.#resolve({
      firstTextMs: this.#firstTextMs,
      durationMs: this.#doneMs ?? this.#elapsedMs,
      promptTokens: counts.estimated ? null : counts.promptTokens,
      completionTokens: counts.estimated ? null : counts.completionTokens,
      body,
    });
  }

  onFail(cause: Error): void {
    const { model } = this.#endpoint;
    const code = this.#status === 0 ? 'engine_unreachable' : 'engine_interrupted';
    this.#fail(new CortexError(code, { model }, { cause }));
  }

  #errorIn(body: Buffer): CortexError | null {
    const { model } = this.#endpoint;
    const told = { status: this.#status, model, path: this.#request.path };
    if (this.#status < 200 || this.#status > 299) return engineError({ ...told, body });
    if (this.#meter instanceof AnswerMeter) return null;
    const event = /^data: ?(\{"error".*)$/m.exec(body.toString('utf8'))?.[1];
    if (this.#meter.failed) return engineError({ ...told, body: Buffer.from(event ?? 'an error inside its stream') });
    return this.#meter.done ? null : new CortexError('engine_interrupted', { model });
  }

  get #elapsedMs(): number {
    return performance.now() - this.#sentAtMs;
  }

  readonly #onAbort = (): void => {
    this.#call?.abort(this);
    this.#fail(this.#signal.reason);
  };

  #fail(reason: unknown): void {
    this.#over();
    this.#reject(reason);
  }

  #over(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#signal.removeEventListener('abort', this.#onAbort);
  }
}
