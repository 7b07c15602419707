import type { ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { CortexError, toErrorBody } from '../../../contract/errors.ts';
import type { UsageRecord } from '../../../contract/usage.ts';
import type { Endpoint } from '../routing/table.ts';
import { readRefusal } from './engine-refusal.ts';
import { AnswerMeter, StreamMeter, type TokenCounts } from './usage-meter.ts';

export interface Relay {
  readonly dispatcher: Dispatcher;
  readonly endpoint: Endpoint;
  readonly path: string;
  readonly body: Buffer;
  readonly model: string;
  readonly requestId: string;
  /** Take out of the stream what the engine says of usage only because the gateway asked. */
  readonly hideUsage: boolean;
  readonly response: ServerResponse;
}

export interface RelayEnd {
  readonly status: number;
  readonly outcome: UsageRecord['outcome'];
  readonly counts: TokenCounts;
  readonly firstByteAtMs: number | null;
}

const nothing: TokenCounts = { promptTokens: 0, completionTokens: 0, estimated: false };
/** How a request ends whose client left before anything was known of the answer. */
export const leftEarly: RelayEnd = {
  status: 499,
  outcome: 'client_gone',
  counts: { ...nothing, estimated: true },
  firstByteAtMs: null,
};

// Of the engine's headers only these say something about the body; all others speak of a connection that is not the client's.
const passedHeaders = ['content-type', 'cache-control', 'retry-after'];

/**
 * Sends a request to an engine and its answer's bytes to the client as they come. Ends once, whoever goes first: the
 * client's leaving aborts the engine's work, and an engine that breaks off inside a stream gives the client an error event.
 * @throws CortexError engine_unreachable, engine_interrupted or engine_failed where nothing was sent to the client yet
 */
export async function relay(options: Relay): Promise<RelayEnd> {
  const { response } = options;
  const gone = new AbortController();
  // Not request 'close': that fires for every POST as soon as its body is read.
  const onClose = () => {
    if (!response.writableFinished) gone.abort();
  };
  response.once('close', onClose);
  if (response.destroyed) gone.abort();
  try {
    const answer = await ask(options, gone.signal);
    if (answer.statusCode < 200 || answer.statusCode > 299) return await relayRefusal(answer, options);
    const contentType = String(answer.headers['content-type'] ?? '');
    const isStream = contentType.startsWith('text/event-stream');
    return await (isStream ? relayStream : relayDocument)(answer, options, gone.signal);
  } catch (error) {
    if (gone.signal.aborted) return leftEarly;
    throw error;
  } finally {
    response.off('close', onClose);
  }
}

async function ask({ dispatcher, endpoint, path, body, model }: Relay, signal: AbortSignal) {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${endpoint.apiKey}` };
  return dispatcher
    .request({ origin: endpoint.url, path, method: 'POST', headers, body, signal })
    .catch((cause: unknown) => {
      throw new CortexError('engine_unreachable', { model }, { cause });
    });
}

async function relayRefusal(answer: Dispatcher.ResponseData, options: Relay): Promise<RelayEnd> {
  const { response } = options;
  const refusal = await readRefusal(answer, options.model, options.requestId);
  const retryAfter = answer.headers['retry-after'];
  if (retryAfter !== undefined) response.setHeader('retry-after', retryAfter);
  response.writeHead(refusal.status, { 'content-type': refusal.contentType, 'cache-control': 'no-store' });
  response.end(refusal.body);
  const outcome = refusal.status >= 500 ? 'engine_error' : 'client_error';
  return { status: refusal.status, outcome, counts: nothing, firstByteAtMs: Date.now() };
}

async function relayStream(answer: Dispatcher.ResponseData, options: Relay, gone: AbortSignal): Promise<RelayEnd> {
  const { response } = options;
  const meter = new StreamMeter({ hideUsage: options.hideUsage });
  let firstByteAtMs: number | null = null;
  const end = (status: number, outcome: RelayEnd['outcome']): RelayEnd => ({
    status,
    outcome,
    counts: meter.counts(),
    firstByteAtMs,
  });
  passHeaders(answer, response);
  response.setHeader('x-accel-buffering', 'no');
  response.writeHead(answer.statusCode);
  // The client learns now that its request was taken, though the first token may be long in coming.
  response.flushHeaders();
  try {
    for await (const chunk of answer.body) {
      firstByteAtMs ??= Date.now();
      const passed = meter.pass(chunk);
      if (passed.length > 0 && !response.write(passed)) await drained(response, gone);
    }
    response.end(meter.rest());
    return end(answer.statusCode, meter.failed ? 'engine_error' : 'ok');
  } catch {
    // Many clients close as soon as they have read [DONE]: they missed nothing.
    if (gone.aborted && meter.done) return end(answer.statusCode, meter.failed ? 'engine_error' : 'ok');
    if (gone.aborted) return end(499, 'client_gone');
    const body = toErrorBody(new CortexError('engine_interrupted', { model: options.model }), options.requestId);
    // Half an event that went on before would swallow this one, but for the blank line.
    const separator = options.hideUsage ? '' : '\n\n';
    response.end(`${separator}data: ${JSON.stringify(body)}\n\n`);
    return end(502, 'engine_error');
  }
}

async function relayDocument(answer: Dispatcher.ResponseData, options: Relay, gone: AbortSignal): Promise<RelayEnd> {
  const { response } = options;
  const meter = new AnswerMeter();
  let firstByteAtMs: number | null = null;
  const end = (status: number, outcome: RelayEnd['outcome']): RelayEnd => ({
    status,
    outcome,
    counts: meter.counts(),
    firstByteAtMs,
  });
  try {
    for await (const chunk of answer.body) {
      const bytes: Buffer = chunk;
      if (firstByteAtMs === null) {
        firstByteAtMs = Date.now();
        passHeaders(answer, response);
        response.writeHead(answer.statusCode);
      }
      meter.see(bytes);
      if (!response.write(bytes)) await drained(response, gone);
    }
  } catch (cause) {
    if (gone.aborted) return end(499, 'client_gone');
    if (firstByteAtMs === null) throw new CortexError('engine_interrupted', { model: options.model }, { cause });
    // The status is gone already; a cut connection tells the client that this is not the whole answer.
    response.destroy();
    return end(502, 'engine_error');
  }
  if (firstByteAtMs === null)
    throw new CortexError('engine_failed', {
      model: options.model,
      status: answer.statusCode,
      detail: 'its answer is empty.',
    });
  response.end();
  return end(answer.statusCode, 'ok');
}

function passHeaders(answer: Dispatcher.ResponseData, response: ServerResponse): void {
  for (const name of passedHeaders) {
    const value = answer.headers[name];
    if (value !== undefined) response.setHeader(name, value);
  }
}

/** Waits until the client has taken what was written. @throws when it leaves instead */
function drained(response: ServerResponse, gone: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const taken = () => {
      gone.removeEventListener('abort', left);
      resolve();
    };
    const left = () => {
      response.off('drain', taken);
      reject(new Error('the client has gone'));
    };
    // It may have left while the engine's bytes were on their way here: then no event comes any more.
    if (gone.aborted) return left();
    response.once('drain', taken);
    gone.addEventListener('abort', left, { once: true });
  });
}
