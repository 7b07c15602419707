import { type InspectedMessage, type InspectedRequest, inspectedBytes } from '../../../contract/inspector.ts';
import type { UsageRecord } from '../../../contract/usage.ts';
import type { HttpRequest, HttpResponse } from '../http/message.ts';
import type { RoutingTable } from '../routing/table.ts';
import type { Caller } from './credentials.ts';
import type { Timing } from './timing.ts';

/** What may be kept of the headers. All that is not here may be a secret: clients put keys under many names. */
const keptHeaders = new Set([
  'accept',
  'accept-encoding',
  'anthropic-version',
  'content-encoding',
  'content-length',
  'content-type',
  'host',
  'retry-after',
  'server-timing',
  'traceparent',
  'transfer-encoding',
  'user-agent',
]);
const keptPrefixes = ['x-cortex-', 'x-ratelimit-', 'x-stainless-', 'x-request-id'];
/** Keys of Cortex, and those that look like OpenAI's, Anthropic's and Hugging Face's. */
const keyPattern = /\b(ctx_|sk-|hf_)[A-Za-z0-9_-]{8,}|\bBearer\s+[A-Za-z0-9._~+/-]{8,}=*/g;
const textTypes = /^(application\/(json|x-ndjson)|text\/)/;

/** Keeps one request as it goes by. */
export class Observer {
  readonly #request: HttpRequest;
  readonly #response: HttpResponse;
  readonly #answer: Buffer[] = [];
  #answerBytes = 0;
  #question: Buffer = Buffer.alloc(0);

  constructor(request: HttpRequest, response: HttpResponse) {
    this.#request = request;
    this.#response = response;
    response.observe((bytes) => this.#see(bytes));
  }

  asked(body: Buffer): void {
    this.#question = body;
  }

  /** @param tell hears of the request when its answer is over */
  ended(record: UsageRecord, timing: Timing, tell: (inspected: InspectedRequest) => void): void {
    const keep = () =>
      tell({
        record,
        overhead_ms: timing.overheadMs,
        engine_ms: timing.engineMs,
        request: message(this.#request.headers, this.#question.subarray(0, inspectedBytes), this.#question.length),
        response: message(this.#response.headers(), Buffer.concat(this.#answer), this.#answerBytes),
      });
    if (this.#response.destroyed || this.#response.finished) keep();
    else this.#response.onClose(keep);
  }

  #see(bytes: Buffer): void {
    const room = inspectedBytes - Math.min(this.#answerBytes, inspectedBytes);
    this.#answerBytes += bytes.length;
    // A copy of its own: a part of a larger buffer would keep the whole of it.
    if (room > 0) this.#answer.push(Buffer.from(bytes.subarray(0, room)));
  }
}

/** Null where this request is not to be kept. */
export function observe(
  { inspection }: RoutingTable,
  caller: Caller,
  request: HttpRequest,
  response: HttpResponse,
): Observer | null {
  if (inspection === null || inspection.untilMs <= Date.now()) return null;
  if (inspection.keyId !== null && inspection.keyId !== caller.keyId) return null;
  return new Observer(request, response);
}

function message(headers: NodeJS.Dict<number | string | string[]>, body: Buffer, bytes: number): InspectedMessage {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined) continue;
    if (keptHeaders.has(name) || keptPrefixes.some((prefix) => name.startsWith(prefix)))
      kept[name] = String(value).replace(keyPattern, '(key)');
  }
  // Clients that send no type mean JSON, which is all that is read of them.
  const isText = textTypes.test(kept['content-type'] ?? 'application/json');
  return { headers: kept, body: isText ? body.toString('utf8').replace(keyPattern, '(key)') : null, bytes };
}
