import type { HttpResponse } from '../http/message.ts';

/** Milliseconds of a request, by performance.now(). */
export interface Timing {
  readonly arrivedAtMs: number;
  /** What the gateway itself took: neither the client's sending, nor the queue, nor the engine. */
  overheadMs: number;
  /** From the request's going to the engine to the first byte of its answer. */
  engineMs: number | null;
}

export const newTiming = (): Timing => ({ arrivedAtMs: performance.now(), overheadMs: 0, engineMs: null });

/** Tells the client where its time went (Server-Timing, W3C). */
export function tellTimes(response: HttpResponse, timing: Timing, queueMs: number): void {
  // Where nothing was waited for, all of it was the gateway's.
  const overheadMs = timing.overheadMs > 0 ? timing.overheadMs : performance.now() - timing.arrivedAtMs;
  const overhead = hundredths(overheadMs);
  const engine = timing.engineMs === null ? '' : `, engine;dur=${hundredths(timing.engineMs)}`;
  response.setHeader('x-cortex-overhead-ms', overhead);
  response.setHeader('server-timing', `gateway;dur=${overhead}, queue;dur=${queueMs}${engine}`);
}

/** As toFixed(2), by whole numbers, which are written some times faster. */
function hundredths(value: number): string {
  const all = Math.round(value * 100);
  const part = all % 100;
  return `${(all - part) / 100}.${part < 10 ? '0' : ''}${part}`;
}
