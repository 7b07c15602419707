import type { IncomingHttpHeaders } from 'node:http';
import { CortexError } from '../../../contract/errors.ts';
import { type ServingSettings, servingSettings } from '../../../contract/routing.ts';
import type { Lease, Verdict } from '../routing/balancer.ts';
import type { RoutedModel } from '../routing/table.ts';
import { affinityOf } from './affinity.ts';
import { bodyForEngine, type InspectedBody } from './body.ts';
import type { Place } from './queue.ts';
import { leftEarly, type RelayEnd, type RelayOwner, type RelayResult, relay } from './relay.ts';
import type { Passage } from './serve.ts';
import { tellTimes } from './timing.ts';
import { awake } from './wake.ts';

const defaultServing = servingSettings.parse({});

/** A request at one model: waits for a place there, then asks one endpoint after the other until one takes it. */
export class ModelRequest implements RelayOwner {
  readonly body: InspectedBody;
  /** Those that may answer; this is about the one at `at`. */
  readonly models: readonly RoutedModel[];
  readonly at: number;
  readonly #passage: Passage;
  readonly #serving: ServingSettings;
  #model: RoutedModel;
  #waitsSinceMs = 0;
  #place: Place | null = null;
  #lease: Lease | null = null;
  #sentAt = 0;
  readonly #tried: string[] = [];

  constructor(passage: Passage, body: InspectedBody, models: readonly RoutedModel[], at: number, model: RoutedModel) {
    this.#passage = passage;
    this.body = body;
    this.models = models;
    this.at = at;
    this.#model = model;
    this.#serving = passage.exchange.options.table.serving(model.servedName) ?? defaultServing;
  }

  get #othersLeft(): boolean {
    return this.at < this.models.length - 1;
  }

  begin(): void {
    this.#waitsSinceMs = Date.now();
    if (this.#model.endpoints.length > 0) this.#enter();
    else this.#wake();
  }

  #wake(): void {
    const { record, exchange } = this.#passage;
    awake(this.#model, this.#serving, () => this.#passage.gone(), exchange.options).then(
      (model) => {
        this.#model = model;
        const nowMs = Date.now();
        record.queue_ms += nowMs - this.#waitsSinceMs;
        this.#waitsSinceMs = nowMs;
        this.#tellWait(0);
        this.#enter();
      },
      (error: unknown) => this.#notEntered(error),
    );
  }

  #enter(): void {
    const { caller, exchange } = this.#passage;
    const rules = {
      maxConcurrent: this.#serving.max_concurrent,
      queueLimit: this.#serving.queue_limit,
      queueTimeoutMs: this.#serving.queue_timeout_seconds * 1000,
    };
    let entered: Place | Promise<Place>;
    try {
      const share = caller.keyId ?? caller.userId;
      const gone = () => this.#passage.gone();
      entered = exchange.options.queues.enter(this.#model.servedName, share, rules, gone);
    } catch (error) {
      this.#notEntered(error);
      return;
    }
    if (!(entered instanceof Promise)) this.#entered(entered);
    else
      entered.then(
        (place) => this.#entered(place),
        (error: unknown) => this.#notEntered(error),
      );
  }

  #notEntered(error: unknown): void {
    const { record, exchange } = this.#passage;
    record.queue_ms += Date.now() - this.#waitsSinceMs;
    if (exchange.response.destroyed) this.#passage.answered(this, { kind: 'ended', end: leftEarly });
    else if (error instanceof CortexError && this.#othersLeft)
      this.#passage.answered(this, { kind: 'not-begun', error });
    else this.#passage.fail(error);
  }

  #entered(place: Place): void {
    this.#place = place;
    this.#passage.record.queue_ms += place.waitedMs;
    if (place.position > 0) this.#tellWait(place.position);
    this.#askNext(null);
  }

  #tellWait(position: number): void {
    const { record, exchange } = this.#passage;
    exchange.response.setHeader('x-cortex-queue-position', String(position));
    exchange.response.setHeader('x-cortex-queue-ms', String(record.queue_ms));
  }

  #askNext(last: RelayResult | null): void {
    const { record, exchange } = this.#passage;
    const { endpoints } = this.#model;
    let lease: Lease | undefined;
    try {
      const affinity = endpoints.length > 1 ? affinityOf(this.body) : null;
      lease = exchange.options.balancer.acquire(endpoints, affinity, this.#tried, Date.now());
      if (lease !== undefined) {
        this.#lease = lease;
        record.replica = lease.endpoint.id;
        this.#tried.push(record.replica);
        this.#ask(lease);
        return;
      }
    } catch (error) {
      lease?.release('unknown');
      this.#place?.leave();
      this.#passage.fail(error);
      return;
    }
    this.#done(last ?? { kind: 'not-begun', error: new CortexError('engine_unreachable', { model: this.body.model }) });
  }

  #ask({ endpoint }: Lease): void {
    const { exchange, path, enginePath, trace } = this.#passage;
    const { request, response, requestId, timing, options } = exchange;
    const beganAt = performance.now();
    const { servedName, endpoints } = this.#model;
    const headers: Record<string, string> = { 'content-type': this.body.contentType };
    if (endpoint.apiKey !== null) headers.authorization = `Bearer ${endpoint.apiKey}`;
    if (trace === null) passTrace(request.headers, headers);
    else Object.assign(headers, trace.callEngine(servedName, endpoint.url));
    const version = request.headers['anthropic-version'];
    if (enginePath.errors === 'anthropic' && typeof version === 'string') headers['anthropic-version'] = version;
    const body = bodyForEngine(this.body, endpoint.model, this.#serving.parameters);
    this.#sentAt = performance.now();
    timing.overheadMs += this.#sentAt - beganAt;
    relay({
      client: options.client,
      request: {
        url: endpoint.url,
        ca: endpoint.ca,
        method: 'POST',
        path: enginePath.enginePath ?? path,
        headers,
        body,
      },
      model: this.body.model,
      path,
      requestId,
      errorShape: enginePath.errors,
      hideUsage: this.body.asksUsage,
      times: this.#serving,
      othersLeft: this.#othersLeft || this.#tried.length < endpoints.length,
      response,
      owner: this,
    });
  }

  onAnswer(status: number): void {
    const { exchange, record } = this.#passage;
    if (status < 500) this.#lease?.begun();
    exchange.timing.engineMs = performance.now() - this.#sentAt;
    tellTimes(exchange.response, exchange.timing, record.queue_ms);
  }

  onEnded(end: RelayEnd): void {
    this.#passage.tell(end);
  }

  onSettled(result: RelayResult): void {
    this.#lease?.release(verdictOf(result));
    if (result.kind !== 'not-begun') {
      this.#done(result);
      return;
    }
    this.#passage.trace?.callFailed(result.error.code);
    this.#askNext(result);
  }

  #done(result: RelayResult): void {
    this.#place?.leave();
    this.#passage.answered(this, result);
  }
}

/** Of an engine that is there; `model_not_ready` is its own 503. */
const answeredErrors: ReadonlySet<string> = new Set(['engine_failed', 'model_not_ready']);

function verdictOf(result: RelayResult): Verdict {
  // Who lacks a path that a client thought of is there and answers.
  if (result.kind !== 'ended' && result.error.code === 'engine_lacks_endpoint') return 'good';
  if (result.kind !== 'ended') return answeredErrors.has(result.error.code) ? 'unwell' : 'bad';
  const { outcome, cause } = result.end;
  if (outcome === 'client_gone') return 'unknown';
  if (outcome !== 'engine_error') return 'good';
  // Without a cause it is an error that the engine told inside its stream.
  return cause === null || cause === 'engine_failed' ? 'unwell' : 'bad';
}

/** A trace that others keep goes on through the gateway (W3C Trace Context). */
function passTrace({ traceparent, tracestate }: IncomingHttpHeaders, to: Record<string, string>): void {
  if (typeof traceparent !== 'string' || !/^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(traceparent))
    return;
  to.traceparent = traceparent;
  if (typeof tracestate === 'string') to.tracestate = tracestate;
}
