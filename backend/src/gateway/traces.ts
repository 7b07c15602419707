import type { IncomingHttpHeaders } from 'node:http';
import type { Context, Span, Tracer } from '@opentelemetry/api';
import type { UsageRecord } from '../../../contract/usage.ts';
import { operationOf } from './surface.ts';

export interface TraceOptions {
  /** Where an OTLP collector listens by HTTP; spans go to its /v1/traces. */
  readonly endpoint: string;
  /** Sent along: `name=value` with commas between. */
  readonly headers: string;
  readonly serviceName: string;
  readonly version: string;
  /** Which part of the requests is traced whose clients did not decide it themselves. */
  readonly ratio: number;
}

type Api = typeof import('@opentelemetry/api');
type Core = typeof import('@opentelemetry/core');

export interface TraceLogger {
  warn(details: object, message: string): void;
}

const exportMs = 5000;
const complainMs = 60_000;

/**
 * Opens the way to a collector. Loaded only where one is configured, as the libraries take 15 MB.
 * What the collector does not take is dropped: a request never waits for it.
 */
export async function openTraces(options: TraceOptions, logger: TraceLogger): Promise<Traces> {
  const [api, core, sdk, resources, otlp] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/core'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/exporter-trace-otlp-http'),
  ]);
  let complainedAtMs = -complainMs;
  core.setGlobalErrorHandler((reason) => {
    if (performance.now() - complainedAtMs < complainMs) return;
    complainedAtMs = performance.now();
    const cause = reason instanceof Error ? reason.message : reason;
    logger.warn({ cause }, `Traces do not reach the collector at ${options.endpoint}`);
  });
  const exporter = new otlp.OTLPTraceExporter({
    url: `${options.endpoint.replace(/\/+$/, '')}/v1/traces`,
    headers: core.parseKeyPairsIntoRecord(options.headers),
    timeoutMillis: exportMs,
  });
  const provider = new sdk.TracerProvider({
    resource: resources.resourceFromAttributes({
      'service.name': options.serviceName,
      'service.version': options.version,
      'process.pid': process.pid,
    }),
    sampler: new sdk.ParentBasedSampler({ root: new sdk.TraceIdRatioBasedSampler(options.ratio) }),
    spanProcessors: [
      new sdk.BatchSpanProcessor({ exporter, exportTimeoutMillis: exportMs, scheduledDelayMillis: 1000 }),
    ],
  });
  const close = () => provider.shutdown().catch(() => undefined);
  return new Traces(api, core, provider.getTracer('cortex-gateway', options.version), close);
}

/** Makes a span of each request and one of each call to an engine, by OpenTelemetry's conventions for HTTP and generative AI. */
export class Traces {
  readonly #api: Api;
  readonly #core: Core;
  readonly #tracer: Tracer;
  /** Sends what is left. */
  readonly close: () => Promise<void>;

  constructor(api: Api, core: Core, tracer: Tracer, close: () => Promise<void>) {
    this.#api = api;
    this.#core = core;
    this.#tracer = tracer;
    this.close = close;
  }

  /** @param startedAtMs milliseconds since 1970, as the usage record has it */
  begin(headers: IncomingHttpHeaders, path: string, requestId: string, startedAtMs: number): RequestTrace {
    const { trace, SpanKind, ROOT_CONTEXT } = this.#api;
    const parent = this.#parent(headers);
    const span = this.#tracer.startSpan(
      `POST ${path}`,
      {
        kind: SpanKind.SERVER,
        startTime: startedAtMs,
        attributes: { 'http.request.method': 'POST', 'http.route': path, 'cortex.request.id': requestId },
      },
      parent === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent),
    );
    return new RequestTrace(this.#api, this.#tracer, span, trace.setSpan(ROOT_CONTEXT, span), path);
  }

  #parent(headers: IncomingHttpHeaders) {
    const { traceparent, tracestate } = headers;
    if (typeof traceparent !== 'string') return null;
    const parent = this.#core.parseTraceParent(traceparent);
    if (parent === null) return null;
    const state = typeof tracestate === 'string' ? { traceState: new this.#core.TraceState(tracestate) } : {};
    return { ...parent, isRemote: true, ...state };
  }
}

/** The spans of one request. No prompt, answer, key or address of a client is in them. */
export class RequestTrace {
  readonly #api: Api;
  readonly #tracer: Tracer;
  readonly #span: Span;
  readonly #context: Context;
  readonly #path: string;
  #call: Span | null = null;

  constructor(api: Api, tracer: Tracer, span: Span, context: Context, path: string) {
    this.#api = api;
    this.#tracer = tracer;
    this.#span = span;
    this.#context = context;
    this.#path = path;
  }

  /** @returns what the engine is told, so that its own spans join the trace */
  callEngine(servedName: string, url: string): Record<string, string> {
    this.#endCall();
    const operation = operationOf(this.#path);
    const { hostname, port, protocol } = new URL(url);
    this.#call = this.#tracer.startSpan(
      `${operation} ${servedName}`,
      {
        kind: this.#api.SpanKind.CLIENT,
        attributes: {
          'gen_ai.operation.name': operation,
          'gen_ai.provider.name': 'cortex',
          'gen_ai.request.model': servedName,
          'server.address': hostname,
          'server.port': port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
        },
      },
      this.#context,
    );
    const { traceId, spanId, traceFlags, traceState } = this.#call.spanContext();
    const flags = traceFlags.toString(16).padStart(2, '0');
    const state = traceState?.serialize();
    return { traceparent: `00-${traceId}-${spanId}-${flags}`, ...(state ? { tracestate: state } : {}) };
  }

  /** The engine did not take the request: another is asked, or nobody. */
  callFailed(code: string): void {
    this.#call?.setStatus({ code: this.#api.SpanStatusCode.ERROR });
    this.#call?.setAttribute('error.type', code);
    this.#endCall();
  }

  end(record: UsageRecord): void {
    const answered = {
      'gen_ai.usage.input_tokens': record.prompt_tokens,
      'gen_ai.usage.output_tokens': record.completion_tokens,
      ...(record.first_byte_ms === null ? {} : { 'cortex.first_byte_ms': record.first_byte_ms }),
    };
    const ended = record.cause === null ? {} : { 'error.type': record.cause };
    this.#call?.setAttributes({ ...answered, ...ended });
    this.#span.setAttributes({
      'http.response.status_code': record.status,
      'cortex.outcome': record.outcome,
      'cortex.queue_ms': record.queue_ms,
      'cortex.streamed': record.streamed,
      ...(record.replica === null ? {} : { 'cortex.replica': record.replica }),
      ...(record.key_id === null ? {} : { 'cortex.key.id': record.key_id }),
      ...ended,
    });
    // A client's own mistake is no error of the server (OpenTelemetry, HTTP spans: Status).
    if (record.status >= 500 || record.outcome === 'engine_error') {
      this.#span.setStatus({ code: this.#api.SpanStatusCode.ERROR });
      this.#call?.setStatus({ code: this.#api.SpanStatusCode.ERROR });
    }
    this.#endCall();
    this.#span.end();
  }

  #endCall(): void {
    this.#call?.end();
    this.#call = null;
  }
}
