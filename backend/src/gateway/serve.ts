import { CortexError } from '../../../contract/errors.ts';
import type { HttpResponse } from '../http/message.ts';
import type { RoutedModel } from '../routing/table.ts';
import { demandScope, modelsFor } from './access.ts';
import { type InspectedBody, inspectBody } from './body.ts';
import type { Caller } from './credentials.ts';
import { type Exchange, sendError } from './exchange.ts';
import { type Observer, observe } from './inspect.ts';
import { forgetAllowances, type LimitGrant, takeLimits } from './limit-grant.ts';
import { ModelRequest } from './model-request.ts';
import { leftEarly, noCounts, type RelayEnd, type RelayResult } from './relay.ts';
import type { EnginePath } from './surface.ts';
import { tellTimes } from './timing.ts';
import type { RequestTrace } from './traces.ts';
import { keptName, newUsageDraft, type UsageDraft } from './usage-draft.ts';

/** Carries a request to an engine and writes its one usage record, however it ends. */
export function serve(exchange: Exchange, path: string, enginePath: EnginePath, caller: Caller): void {
  new Passage(exchange, path, enginePath, caller).begin();
}

/**
 * A request to an engine, from its body to its end. Each step calls the next one: most requests wait for nothing but their
 * engine, and a promise for each step was a tenth of what a request cost.
 */
export class Passage {
  readonly exchange: Exchange;
  readonly path: string;
  readonly enginePath: EnginePath;
  readonly caller: Caller;
  readonly record: UsageDraft;
  readonly trace: RequestTrace | null;
  readonly #startedAtMs = Date.now();
  readonly #observer: Observer | null;
  #grant: LimitGrant | null = null;
  #told = false;

  constructor(exchange: Exchange, path: string, enginePath: EnginePath, caller: Caller) {
    const { request, response, requestId, options } = exchange;
    this.exchange = exchange;
    this.path = path;
    this.enginePath = enginePath;
    this.caller = caller;
    this.record = newUsageDraft(requestId, this.#startedAtMs, path, caller);
    this.trace = options.traces?.begin(request.headers, path, requestId, this.#startedAtMs) ?? null;
    this.#observer = observe(options.table, caller, request, response);
  }

  begin(): void {
    const { request, timing, options } = this.exchange;
    try {
      const beganAt = performance.now();
      demandScope(this.caller, this.enginePath.scope);
      timing.overheadMs += performance.now() - beganAt;
      const read = request.readBody(options.settings.REQUEST_MAX_BODY_BYTES);
      if (read instanceof Promise) read.then((bytes) => this.#read(bytes)).catch(this.fail);
      else this.#read(read);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Aborts when the client leaves; for those alone who have to wait. */
  gone(): AbortSignal {
    return leaving(this.exchange.response);
  }

  /** A model's answer, or why there is none. */
  answered({ body, models, at }: ModelRequest, result: RelayResult): void {
    if (result.kind === 'ended') this.tell(result.end);
    else if (result.kind === 'failed' || at + 1 === models.length) this.fail(result.error);
    else this.#askInstead(body, models, at + 1).catch(this.fail);
  }

  /** Completes the record and gives it away, once. */
  tell(end: RelayEnd): void {
    if (this.#told) return;
    this.#told = true;
    const { record, exchange } = this;
    const { timing, options } = exchange;
    record.status = end.status;
    record.outcome = end.outcome;
    record.cause = end.cause;
    record.first_byte_ms = end.firstByteAtMs === null ? null : end.firstByteAtMs - this.#startedAtMs;
    record.duration_ms = Date.now() - this.#startedAtMs;
    if (this.enginePath.isCounted) {
      record.prompt_tokens = end.counts.promptTokens;
      record.completion_tokens = end.counts.completionTokens;
      record.cached_tokens = end.counts.cachedTokens;
      record.estimated = end.counts.estimated;
    }
    this.#grant?.settle(record.prompt_tokens + record.completion_tokens);
    this.trace?.end(record);
    this.#observer?.ended(record, timing, options.onInspected);
    options.onRecord(record, timing);
    exchange.response.after(options.whenKept);
  }

  readonly fail = (error: unknown): void => {
    const { exchange, record } = this;
    const known = error instanceof CortexError ? error : null;
    const status = known?.status ?? 500;
    const outcome = [500, 502, 504].includes(status) ? 'engine_error' : 'refused';
    const cause = known?.code ?? 'internal_error';
    this.tell({ status, outcome, cause, counts: noCounts, firstByteAtMs: null });
    if (!exchange.response.headersSent) tellTimes(exchange.response, exchange.timing, record.queue_ms);
    sendError(error, exchange, this.enginePath.errors);
  };

  /** Finds who may answer, and takes what the request needs of the limits. @param bytes null where the client left */
  #read(bytes: Buffer | null): void {
    if (bytes === null) {
      this.tell(leftEarly);
      return;
    }
    this.#observer?.asked(bytes);
    const { body, models } = this.#findModels(bytes);
    const taking = takeLimits(this.exchange, this.caller, models[0].servedName, body);
    if (taking instanceof Promise) taking.then((grant) => this.#granted(grant, body, models)).catch(this.fail);
    else this.#granted(taking, body, models);
  }

  #findModels(bytes: Buffer) {
    const { exchange, record, enginePath } = this;
    const { timing, options } = exchange;
    const readAt = performance.now();
    try {
      const body = inspectBody(bytes, exchange.request.headers['content-type'] ?? '', enginePath, options.settings);
      record.requested_name = keptName(body.model);
      record.served_name = record.requested_name;
      record.streamed = body.streamed;
      return { body, models: modelsFor(this.caller, body.model, this.path, enginePath, options.table) };
    } finally {
      timing.overheadMs += performance.now() - readAt;
    }
  }

  #granted(grant: LimitGrant | null, body: InspectedBody, models: readonly [RoutedModel, ...RoutedModel[]]): void {
    this.#grant = grant;
    if (this.exchange.response.destroyed) this.tell(leftEarly);
    else this.#ask(body, models, 0, models[0]);
  }

  #ask(body: InspectedBody, models: readonly RoutedModel[], at: number, model: RoutedModel): void {
    this.record.model_id = model.modelId;
    this.record.served_name = model.servedName;
    new ModelRequest(this, body, models, at, model).begin();
  }

  /** Asks the next model whose own limits allow it. */
  async #askInstead(body: InspectedBody, models: readonly RoutedModel[], from: number): Promise<void> {
    let last: CortexError | null = null;
    for (const [at, model] of models.entries()) {
      if (at < from) continue;
      this.record.model_id = model.modelId;
      this.record.served_name = model.servedName;
      last = await this.#refusedByLimit(model, body);
      if (last !== null) continue;
      this.#ask(body, models, at, model);
      return;
    }
    this.fail(last);
  }

  /** Why a model may not answer in another's place, or null. The request counts there alone. */
  async #refusedByLimit({ servedName }: RoutedModel, body: InspectedBody): Promise<CortexError | null> {
    try {
      this.#grant?.settle(null);
      this.#grant = null;
      forgetAllowances(this.exchange.response);
      this.#grant = await takeLimits(this.exchange, this.caller, servedName, body);
      return null;
    } catch (error) {
      if (error instanceof CortexError) return error;
      throw error;
    }
  }
}

function leaving(response: HttpResponse): AbortSignal {
  const gone = new AbortController();
  if (response.destroyed) gone.abort();
  response.onClose(() => {
    if (!response.finished) gone.abort();
  });
  return gone.signal;
}
