import type { ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { CortexError, toErrorBody } from '../../../contract/errors.ts';
import type { UsageRecord } from '../../../contract/usage.ts';
import type { Endpoint } from '../routing/table.ts';
import { AnswerMeter, StreamMeter, type TokenCounts } from './usage-meter.ts';

export interface Relay {
  readonly dispatcher: Dispatcher;
  readonly endpoint: Endpoint;
  readonly path: string;
  readonly body: Buffer;
  readonly model: string;
  readonly requestId: string;
  readonly hideUsage: boolean;
  readonly response: ServerResponse;
}

export interface RelayEnd {
  readonly status: number;
  readonly outcome: UsageRecord['outcome'];
  readonly counts: TokenCounts;
  readonly firstByteAtMs: number | null;
}

// Of the engine's headers only these say something about the body; all others speak of a connection that is not the client's.
const passedHeaders = ['content-type', 'cache-control', 'retry-after'];

/**
 * Sends a request to an engine and its answer's bytes to the client as they come. Ends once, whoever goes first: the
 * client's leaving aborts the engine's work, and an engine that breaks off inside a stream gives the client an error event.
 * @throws CortexError engine_unreachable where nothing was sent to the client yet
 */
export async function relay(options: Relay): Promise<RelayEnd> {
  const { response, model } = options;
  const gone = new AbortController();
  // Not request 'close': that fires for every POST as soon as its body is read.
  const onClose = () => {
    if (!response.writableFinished) gone.abort();
  };
  response.once('close', onClose);
  try {
    if (response.destroyed) gone.abort();
    const answer = await options.dispatcher
      .request({
        origin: options.endpoint.url,
        path: options.path,
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${options.endpoint.apiKey}` },
        body: options.body,
        signal: gone.signal,
      })
      .catch((cause: unknown) => {
        if (gone.signal.aborted) return null;
        throw new CortexError('engine_unreachable', { model }, { cause });
      });
    if (answer === null) return leftEarly;
    return await relayAnswer(answer, options, gone.signal);
  } finally {
    response.off('close', onClose);
  }
}

const unknownCounts: TokenCounts = { promptTokens: 0, completionTokens: 0, estimated: true };
const leftEarly: RelayEnd = { status: 499, outcome: 'client_gone', counts: unknownCounts, firstByteAtMs: null };

async function relayAnswer(answer: Dispatcher.ResponseData, options: Relay, gone: AbortSignal): Promise<RelayEnd> {
  const { response } = options;
  const isStream = String(answer.headers['content-type'] ?? '').startsWith('text/event-stream');
  const stream = isStream ? new StreamMeter({ hideUsage: options.hideUsage }) : null;
  const whole = new AnswerMeter();
  const status = answer.statusCode;
  for (const name of passedHeaders) {
    const value = answer.headers[name];
    if (value !== undefined) response.setHeader(name, value);
  }
  if (stream !== null) response.setHeader('x-accel-buffering', 'no');
  response.writeHead(status);
  response.flushHeaders();

  let firstByteAtMs: number | null = null;
  const counts = () => (stream === null ? whole.counts() : stream.counts());
  try {
    for await (const chunk of answer.body) {
      const bytes: Buffer = chunk;
      firstByteAtMs ??= Date.now();
      if (stream === null) whole.see(bytes);
      const passed = stream === null ? bytes : stream.pass(bytes);
      if (passed.length > 0 && !response.write(passed)) await drained(response, gone);
    }
    response.end(stream?.rest());
    const outcome = status >= 500 ? 'engine_error' : status >= 400 ? 'client_error' : 'ok';
    return {
      status,
      outcome,
      counts: status >= 400 ? { ...unknownCounts, estimated: false } : counts(),
      firstByteAtMs,
    };
  } catch {
    if (gone.aborted)
      return { status: 499, outcome: 'client_gone', counts: { ...counts(), estimated: true }, firstByteAtMs };
    breakOff(options, stream !== null);
    return { status: 502, outcome: 'engine_error', counts: { ...counts(), estimated: true }, firstByteAtMs };
  }
}

function drained(response: ServerResponse, gone: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => {
      gone.removeEventListener('abort', left);
      resolve();
    };
    const left = () => {
      response.off('drain', end);
      reject(new Error('the client has gone'));
    };
    response.once('drain', end);
    gone.addEventListener('abort', left, { once: true });
  });
}

/** The headers are gone, so the status can't tell: a stream ends with an error event, a document with a cut connection. */
function breakOff({ response, model, requestId }: Relay, isStream: boolean): void {
  if (!isStream) {
    response.destroy();
    return;
  }
  const body = toErrorBody(new CortexError('engine_interrupted', { model }), requestId);
  response.end(`data: ${JSON.stringify(body)}\n\n`);
}
