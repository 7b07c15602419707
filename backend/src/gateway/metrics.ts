import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { RoutingTable } from '../routing/table.ts';
import type { Queues } from './queue.ts';
import { overheadBounds, type RequestSeries, requestBounds, tokenBounds } from './request-tally.ts';
import { SpreadHistogram } from './spread-histogram.ts';
import { operationOf } from './surface.ts';

export interface MetricsOptions {
  readonly table: RoutingTable;
  readonly endpoints: { isLeftAlone(endpointId: string, nowMs: number): boolean };
  readonly queues: Pick<Queues, 'running' | 'depth'>;
  readonly journals: {
    readonly state: { readonly waiting: number; readonly dropped: number };
    depthBytes(): Promise<number>;
  };
  readonly limits: { readonly available: boolean };
  /** What requests have come to since it was asked last. */
  readonly drain: () => readonly RequestSeries[];
}

/** Each look at the event loop's lag wakes the process; a hundred a second, as prom-client has it, are most of what an idle server does. */
const lagLookMs = 50;

/**
 * What Prometheus reads. Names with gen_ai are those of OpenTelemetry's conventions for generative AI; labels take only values
 * of the routing table and of fixed lists, so that no client can make a series.
 */
export class Metrics {
  /** This and the histograms are also read for the documentation. */
  readonly registry = new Registry();
  readonly #options: MetricsOptions;
  readonly #requests: Counter<'model' | 'endpoint' | 'outcome' | 'status'>;
  readonly #tokens: Counter<'model' | 'kind'>;
  readonly #refusals: Counter<'cause'>;
  readonly #duration = new SpreadHistogram({
    name: 'gen_ai_server_request_duration_seconds',
    help: 'From the arrival of a request to its end',
    labelNames: ['gen_ai_request_model', 'gen_ai_operation_name'],
    bounds: requestBounds,
  });
  readonly #firstToken = new SpreadHistogram({
    name: 'gen_ai_server_time_to_first_token_seconds',
    help: 'From the arrival of a streaming request to the first byte of its answer',
    labelNames: ['gen_ai_request_model'],
    bounds: requestBounds,
  });
  readonly #perToken = new SpreadHistogram({
    name: 'gen_ai_server_time_per_output_token_seconds',
    help: 'Time for each token after the first of a stream',
    labelNames: ['gen_ai_request_model'],
    bounds: tokenBounds,
  });
  readonly #queue = new SpreadHistogram({
    name: 'cortex_queue_wait_seconds',
    help: 'How long requests waited for a place at their model',
    labelNames: ['model'],
    bounds: requestBounds,
  });
  readonly #overhead = new SpreadHistogram({
    name: 'cortex_gateway_overhead_seconds',
    help: 'What the gateway itself added to a request before the engine got it',
    labelNames: [],
    bounds: overheadBounds,
  });

  readonly histograms = [this.#duration, this.#firstToken, this.#perToken, this.#queue, this.#overhead];

  constructor(options: MetricsOptions) {
    this.#options = options;
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry, prefix: 'cortex_', eventLoopMonitoringPrecision: lagLookMs });
    this.#requests = new Counter({
      name: 'cortex_requests_total',
      help: 'Requests to /v1 that reached a handler, by how they ended',
      labelNames: ['model', 'endpoint', 'outcome', 'status'],
      registers,
    });
    this.#tokens = new Counter({
      name: 'cortex_tokens_total',
      help: 'Tokens as the engines counted them: prompt, completion, and of the prompt those that were cached',
      labelNames: ['model', 'kind'],
      registers,
    });
    this.#refusals = new Counter({
      name: 'cortex_errors_total',
      help: 'Requests that ended with an error, by its code (docs/reference/errors.md)',
      labelNames: ['cause'],
      registers,
    });
    this.#gauges();
  }

  /** The type of `text()`. */
  get contentType(): string {
    return this.registry.contentType;
  }

  /** All metrics in Prometheus' text format. */
  async text(): Promise<string> {
    this.add(this.#options.drain());
    const others = await this.registry.metrics();
    return [others, ...this.histograms.map((histogram) => histogram.text())].join('\n');
  }

  /** Takes in what requests have come to. */
  add(all: readonly RequestSeries[]): void {
    for (const series of all) {
      const { model, endpoint, outcome, status, cause, requests } = series;
      this.#requests.inc({ model, endpoint, outcome, status: String(status) }, requests);
      if (cause !== null) this.#refusals.inc({ cause }, requests);
      if (series.modelId === null) continue;
      this.#countTokens(series);
      const labels = { gen_ai_request_model: model };
      this.#duration.add({ ...labels, gen_ai_operation_name: operationOf(endpoint) }, series.duration);
      this.#queue.add({ model }, series.queue);
      this.#overhead.add({}, series.overhead);
      if (series.firstToken.counts.some((count) => count > 0)) this.#firstToken.add(labels, series.firstToken);
      if (series.perToken.counts.some((count) => count > 0)) this.#perToken.add(labels, series.perToken);
    }
  }

  /** Requests that never came to a model. */
  refused(cause: string, count: number): void {
    this.#refusals.inc({ cause }, count);
  }

  #countTokens({ model, promptTokens, completionTokens, cachedTokens }: RequestSeries): void {
    if (promptTokens > 0) this.#tokens.inc({ model, kind: 'prompt' }, promptTokens);
    if (completionTokens > 0) this.#tokens.inc({ model, kind: 'completion' }, completionTokens);
    if (cachedTokens > 0) this.#tokens.inc({ model, kind: 'cached' }, cachedTokens);
  }

  #gauges(): void {
    const { table, endpoints: health, queues, journals, limits } = this.#options;
    const registers = [this.registry];
    const perModel = (name: string, help: string, value: (servedName: string) => number) =>
      new Gauge({
        name,
        help,
        labelNames: ['model'],
        registers,
        collect() {
          this.reset();
          for (const { servedName } of table.models()) this.set({ model: servedName }, value(servedName));
        },
      });
    perModel('cortex_requests_running', 'Requests that the engines work on', (name) => queues.running(name));
    perModel('cortex_requests_waiting', 'Requests that wait for a place', (name) => queues.depth(name));
    perModel('cortex_model_ready', '1 where the model answers', (name) =>
      table.model(name)?.state === 'ready' ? 1 : 0,
    );
    new Gauge({
      name: 'cortex_endpoint_open',
      help: '1 where the endpoint is asked, 0 while it is left alone after failures',
      labelNames: ['model', 'replica'],
      registers,
      collect() {
        this.reset();
        for (const { servedName, endpoints } of table.models())
          for (const { id } of endpoints)
            this.set({ model: servedName, replica: id }, health.isLeftAlone(id, Date.now()) ? 0 : 1);
      },
    });
    const single = (name: string, help: string, value: () => number | Promise<number>) =>
      new Gauge({
        name,
        help,
        registers,
        async collect() {
          this.set(await value());
        },
      });
    single('cortex_limits_available', '1 where limits can be checked, 0 while Redis does not answer', () =>
      limits.available ? 1 : 0,
    );
    single('cortex_usage_journal_bytes', 'Usage on disk that the database does not have yet', () =>
      journals.depthBytes(),
    );
    single(
      'cortex_usage_waiting_records',
      'Usage in memory because the disk takes nothing',
      () => journals.state.waiting,
    );
    single('cortex_usage_dropped_records', 'Usage left out since the disk takes nothing', () => journals.state.dropped);
  }
}
