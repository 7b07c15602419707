import type { ServerResponse } from 'node:http';

const heartbeatMs = 15_000;

export interface EventStreamOptions {
  readonly headers: Readonly<Record<string, string>>;
  /** Asked at every heartbeat; false ends the stream (its session has ended). */
  readonly stillAllowed: () => Promise<boolean>;
  readonly heartbeatMs?: number;
}

/**
 * Writes each value as a server-sent event until the source ends, the client goes away or `abort` is aborted from
 * elsewhere. Never throws after the headers; gives the source's error to `onError`.
 */
export async function sendEvents(
  response: ServerResponse,
  source: AsyncIterable<unknown>,
  abort: AbortController,
  options: EventStreamOptions,
  onError: (error: unknown) => void,
): Promise<void> {
  const end = () => abort.abort();
  response.on('close', end);
  response.writeHead(200, {
    ...options.headers,
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  // So that the client knows at once that it is connected.
  response.write(': connected\n\n');
  const heartbeat = setInterval(() => {
    response.write(': alive\n\n');
    options.stillAllowed().then((allowed) => {
      if (!allowed) end();
    }, end);
  }, options.heartbeatMs ?? heartbeatMs);
  // A source that waits for its next value must not keep an aborted stream open.
  abort.signal.addEventListener('abort', () => response.end());
  try {
    for await (const value of source) {
      if (abort.signal.aborted) break;
      if (!response.write(`data: ${JSON.stringify(value)}\n\n`)) await drained(response, abort.signal);
    }
  } catch (error) {
    if (!abort.signal.aborted) onError(error);
  } finally {
    clearInterval(heartbeat);
    end();
    response.end();
  }
}

const drained = (response: ServerResponse, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      response.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    response.on('drain', done);
    signal.addEventListener('abort', done);
  });
